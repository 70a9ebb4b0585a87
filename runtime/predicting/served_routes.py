"""Routes in service: each target with its model, its series, its fallbacks and its shadows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gnomon.runtime.errors import UnknownModel
from gnomon.runtime.models.model import Model
from gnomon.runtime.packages.manifest import Batching
from gnomon.runtime.predicting.fallback_chain import FallbackHandler, bind_fallbacks
from gnomon.runtime.recording.recorder import Recorder
from gnomon.runtime.recording.series import WindowSeries
from gnomon.runtime.recording.transcripts import share_of
from gnomon.runtime.routing import routes
from gnomon.runtime.routing.fallbacks import declared_fallbacks
from gnomon.runtime.routing.routes import Route


@dataclass(frozen=True, slots=True)
class RouteTarget:
    """What answers a call: a model, the series that counts it, its fallbacks and shadows."""

    route: Route
    model: Model
    series: WindowSeries
    fallbacks: Sequence[FallbackHandler]
    shadows: Mapping[str, tuple[Model, WindowSeries]]


@dataclass(frozen=True, slots=True)
class ServedRoute:
    """A route in service: its targets by digest; `only` if there is a single one.

    `versions` has the targets that callers may request by version.
    """

    route: Route
    targets: Mapping[str, RouteTarget]
    only: RouteTarget | None
    versions: Mapping[str, RouteTarget]
    #: Whether transcripts are made of its calls.
    is_written_down: bool = False

    @property
    def batching(self) -> Batching | None:
        """Return how the route's rows are gathered, if they are: as the first target that says."""
        found = (target.model.batching for target in self.targets.values())
        return next((one for one in found if one is not None), None)

    @property
    def instances(self) -> int:
        """Return how many runs of the engine can be under way at once."""
        return max(target.model.instances for target in self.targets.values())

    @property
    def works_in_caller(self) -> bool:
        """Whether the calling thread does all the work of a call: no other thread or process."""
        return self.batching is None and all(
            target.model.engine.works_in_caller for target in self.targets.values()
        )

    def target(
        self, key: str | None, version: str = "", bucket: int | None = None
    ) -> RouteTarget | None:
        """Return the target that a call takes; None if its version is not in service.

        `bucket` is the call's traffic bucket, 0 to 999, if one was chosen already.
        """
        if version:
            return self.versions.get(version)
        return self.only or self.targets[routes.choose_target(self.route, key, bucket)]


def serve_route(
    route: Route,
    models: Mapping[str, Model],
    recorder: Recorder,
    *,
    keeps_transcripts: bool = False,
) -> ServedRoute:
    """Return the route with its models.

    Args:
        route: the route to be served.
        models: the loaded models by digest.
        recorder: gives each target and shadow its series.
        keeps_transcripts: whether requests are written down if a package allows it.

    Raises:
        UnknownModel: one of them is not loaded.
        ConfigurationError: a fallback does not fit a target's contract.
    """
    missing = [digest for digest in route.digests if digest not in models]
    if missing:
        raise UnknownModel(
            f"route {route.name!r} needs the package {missing[0][:16]}, which is not loaded; "
            f"loaded are {', '.join(model.reference for model in models.values()) or 'none'}",
            details=[{"route": route.name, "digest": digest} for digest in missing],
        )
    shadows = {
        digest: (
            models[digest],
            recorder.series(models[digest].package, route.name, shadow=True),
        )
        for digest, _ in route.shadows
    }

    def serve_target(digest: str) -> RouteTarget:
        model = models[digest]
        series = recorder.series(model.package, route.name)
        chain = (*route.fallbacks, *declared_fallbacks(model.deployment))
        return RouteTarget(route, model, series, bind_fallbacks(chain, model, models), shadows)

    targets = {digest: serve_target(digest) for digest, _ in route.targets}
    named = [targets[target.digest] for target in route.targets if target.weight]
    named += [targets.get(digest) or serve_target(digest) for digest in route.versions]
    # Two formats of one version answer alike; the first of them is used.
    versions = {one.model.version: one for one in reversed(named)}
    only = next(iter(targets.values())) if len(targets) == 1 else None
    models_asked = [one.model for one in (*targets.values(), *versions.values())]
    is_written_down = keeps_transcripts and any(map(share_of, models_asked))
    return ServedRoute(route, targets, only, versions, is_written_down)


def find_target(
    served: Mapping[str, ServedRoute], route: str, key: str | None, version: str, bucket: int | None
) -> RouteTarget:
    """Return the target that a call on a route takes.

    Args:
        served: the routes in service by name.
        route: the route's name.
        key: whose calls go to one target; None: by chance.
        version: the version that the caller wants; empty: any.
        bucket: the call's traffic bucket, 0 to 999; None: not chosen yet.

    Raises:
        UnknownModel: there is no such route, or it has no such version.
    """
    found = served.get(route)
    if found is None:
        raise UnknownModel(
            f"no route is named {str(route)[:80]!r}; in service are {', '.join(served) or 'none'}",
            details=[{"route": str(route)[:80]}],
        )
    target = found.target(key, version, bucket)
    if target is None:
        raise UnknownModel(
            f"model {route!r} has no version {version[:80]!r} in service; there are "
            f"{', '.join(found.versions)}; leave the version empty to take what the route does"
        )
    return target
