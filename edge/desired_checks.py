"""What a hub's desired state must be before any of it is installed. Decisions only."""

from collections.abc import Iterable

from gnomon.proto import hub_pb2
from gnomon.runtime.errors import EngineError, HubError, PackageError
from gnomon.runtime.packages.manifest import Deployment, Manifest
from gnomon.runtime.packages.requirements import this_machine, unmet
from gnomon.runtime.routing.fallbacks import PackageFallback, declared_fallbacks
from gnomon.runtime.routing.routes import Route, from_message


def check_route(route: Route, packages: Iterable[hub_pb2.PackageRef]) -> None:
    """Raise HubError unless a route leads only to given packages of its own model."""
    known = {package.digest: package.name for package in packages}
    if missing := set(route.digests) - known.keys():
        raise HubError(f"route {route.name!r} needs {sorted(missing)}, which is not given")
    if others := {known[digest] for digest in route.digests} - {route.name}:
        raise HubError(f"route {route.name!r} leads to {sorted(others)}, another model")


def check_fallbacks(route: Route, deployments: Iterable[Deployment]) -> None:
    """Raise HubError if a rule or constants answer that no package of the route brings along."""
    declared = [one for deployment in deployments for one in declared_fallbacks(deployment)]
    for fallback in route.fallbacks:
        if not isinstance(fallback, PackageFallback) and fallback not in declared:
            raise HubError(
                f"route {route.name!r} has a fallback that no package of it declares: {fallback}"
            )


def decode_routes(state: hub_pb2.DesiredState) -> list[Route]:
    """Return the state's routes.

    Raises:
        ConfigurationError: the weights of one do not add up.
    """
    return [from_message(route) for route in state.routes]


def check_manifest(manifest: Manifest, package: hub_pb2.PackageRef) -> None:
    """Raise unless the manifest is of the package that the hub named, and this node can run it."""
    expected = (package.name, package.version, package.format)
    if (manifest.name, manifest.version, manifest.format) != expected:
        raise PackageError(
            f"the hub calls {package.digest[:16]} {'/'.join(expected)}, its manifest "
            f"{manifest.name}/{manifest.version}/{manifest.format}"
        )
    if missing := unmet(manifest.needs, this_machine()):
        raise EngineError(f"{manifest.reference}: {'; '.join(missing)}")
