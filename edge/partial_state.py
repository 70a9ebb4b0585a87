"""What is left of a desired state without the packages and routes that this node refuses.

One refused package blocks no other model. A route without its candidate leads to its champion
alone. A route without its champion stays as it is in service. A route that was not in service is
left out. Decisions only, no input or output.
"""

from collections.abc import Collection, Iterable
from typing import Self

import msgspec

from gnomon.proto import hub_pb2
from gnomon.runtime.routing.routes import WEIGHT_TOTAL


class PackageRefusal(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A package, or with an empty digest a whole route, that is not put into service, and why.

    `is_temporary`: the reason may pass, so that the same desired state is tried again.
    """

    route: str
    reason: str
    digest: str = ""
    version: str = ""
    is_temporary: bool = False

    @classmethod
    def of_package(
        cls, package: hub_pb2.PackageRef, reason: str, *, is_temporary: bool = False
    ) -> Self:
        """Return the refusal of a package."""
        return cls(
            route=package.name,
            digest=package.digest,
            version=package.version,
            reason=reason,
            is_temporary=is_temporary,
        )

    @property
    def name(self) -> str:
        """Return `name@version`, or the route's name."""
        return f"{self.route}@{self.version}" if self.version else self.route

    def to_message(self) -> hub_pb2.Refused:
        """Return the message for the hub."""
        return hub_pb2.Refused(route=self.route, digest=self.digest, reason=self.reason)


def leave_out(
    desired: hub_pb2.DesiredState,
    in_service: hub_pb2.DesiredState,
    refusals: Collection[PackageRefusal],
) -> hub_pb2.DesiredState:
    """Return the desired state without what is refused; its numbers stay.

    Args:
        desired: the hub's state.
        in_service: the state in service, which provides the routes that stay.
        refusals: the packages and routes to leave out.
    """
    if not refusals:
        return desired
    digests = {one.digest for one in refusals if one.digest}
    names = {one.route for one in refusals if not one.digest}
    former = {route.name: route for route in in_service.routes}
    routes = []
    for route in desired.routes:
        kept = None if route.name in names else _without_packages(route, digests)
        if kept is None:
            kept = _if_sound(former.get(route.name), digests)
        if kept is not None:
            routes.append(kept)
    needed = {digest for route in routes for digest in _digests_in(route)}
    packages = {one.digest: one for one in (*in_service.packages, *desired.packages)}
    return hub_pb2.DesiredState(
        generation=desired.generation,
        epoch=desired.epoch,
        node=desired.node,
        routes=routes,
        packages=[one for digest, one in packages.items() if digest in needed],
    )


def is_same_content(one: hub_pb2.DesiredState, other: hub_pb2.DesiredState) -> bool:
    """Return whether two states have the same routes and packages, whatever their numbers."""
    return _encoded(one.routes) == _encoded(other.routes) and (
        {package.digest for package in one.packages}
        == {package.digest for package in other.packages}
    )


def _without_packages(route: hub_pb2.Route, digests: set[str]) -> hub_pb2.Route | None:
    """Return the route without these packages; None if its champion is one of them."""
    if not digests & _digests_in(route):
        return route
    champion = _champion_of(route)
    if not champion or champion in digests:
        return None
    return hub_pb2.Route(
        name=route.name,
        targets=[hub_pb2.Target(digest=champion, weight=WEIGHT_TOTAL)],
        fallbacks=[one for one in route.fallbacks if not one.digest],
    )


def _if_sound(route: hub_pb2.Route | None, digests: set[str]) -> hub_pb2.Route | None:
    return None if route is None or digests & _digests_in(route) else route


def _champion_of(route: hub_pb2.Route) -> str:
    """Return the package that the route falls back to, or else its first target."""
    fallbacks = [one.digest for one in route.fallbacks if one.digest]
    targets = [one.digest for one in route.targets]
    return next(iter([*filter(None, [route.fallback_digest]), *fallbacks, *targets]), "")


def _digests_in(route: hub_pb2.Route) -> set[str]:
    named = [route.fallback_digest, *(one.digest for one in route.fallbacks)]
    targets = (*route.targets, *route.shadows)
    return {digest for digest in (*named, *(one.digest for one in targets)) if digest}


def _encoded(routes: Iterable[hub_pb2.Route]) -> dict[str, bytes]:
    return {route.name: route.SerializeToString(deterministic=True) for route in routes}
