"""Routes made ready: each target with its model, its series, its fallbacks and its shadows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gnomon.runtime.errors import UnknownModel
from gnomon.runtime.models.model import Model
from gnomon.runtime.packages.manifest import Batching
from gnomon.runtime.predicting.fallback_chain import StandIn, bind
from gnomon.runtime.recording.recorder import Recorder
from gnomon.runtime.recording.series import Series
from gnomon.runtime.recording.transcripts import share_of
from gnomon.runtime.routing import routes
from gnomon.runtime.routing.fallbacks import declared
from gnomon.runtime.routing.routes import Route


@dataclass(frozen=True, slots=True)
class Lane:
    """What answers one call: a model, where it is counted, and what stands behind it."""

    route: Route
    model: Model
    series: Series
    fallbacks: Sequence[StandIn]
    shadows: Mapping[str, tuple[Model, Series]]


@dataclass(frozen=True, slots=True)
class Served:
    """A route in service: the lane of each target; `only` where there is but one.

    `versions` has the lanes that callers may ask for by version.
    """

    route: Route
    lanes: Mapping[str, Lane]
    only: Lane | None
    versions: Mapping[str, Lane]
    #: Whether transcripts are made of its calls.
    is_written_down: bool = False

    @property
    def batching(self) -> Batching | None:
        """Return how the route's rows are gathered, if they are: as the first target that says."""
        found = (lane.model.batching for lane in self.lanes.values())
        return next((one for one in found if one is not None), None)

    @property
    def instances(self) -> int:
        """Return how many runs of the engine can be under way at once."""
        return max(lane.model.instances for lane in self.lanes.values())

    @property
    def works_in_caller(self) -> bool:
        """Whether the calling thread does all the work of a call: no other thread or process."""
        return self.batching is None and all(
            lane.model.engine.works_in_caller for lane in self.lanes.values()
        )

    def lane(self, key: str | None, version: str = "", drawn: int | None = None) -> Lane | None:
        """Return the lane that a call takes; None where it asks for a version that is not here.

        `drawn` is where chance has put the call already, in [0, 1000).
        """
        if version:
            return self.versions.get(version)
        return self.only or self.lanes[routes.choose(self.route, key, drawn)]


def make_ready(
    route: Route,
    models: Mapping[str, Model],
    recorder: Recorder,
    *,
    keeps_transcripts: bool = False,
) -> Served:
    """Return the route with its models.

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

    def lane(digest: str) -> Lane:
        model = models[digest]
        series = recorder.series(model.package, route.name)
        chain = (*route.fallbacks, *declared(model.deployment))
        return Lane(route, model, series, bind(chain, model, models), shadows)

    lanes = {digest: lane(digest) for digest, _ in route.targets}
    named = [lanes[target.digest] for target in route.targets if target.weight]
    named += [lanes.get(digest) or lane(digest) for digest in route.versions]
    # Two formats of one version answer alike; the first of them is asked.
    versions = {one.model.version: one for one in reversed(named)}
    only = next(iter(lanes.values())) if len(lanes) == 1 else None
    models_asked = [one.model for one in (*lanes.values(), *versions.values())]
    is_written_down = keeps_transcripts and any(map(share_of, models_asked))
    return Served(route, lanes, only, versions, is_written_down)


def lane_of(
    served: Mapping[str, Served], route: str, key: str | None, version: str, drawn: int | None
) -> Lane:
    """Return the lane that a call on a route takes; arguments as `Served.lane`.

    Raises:
        UnknownModel: there is no such route, or it has no such version.
    """
    found = served.get(route)
    if found is None:
        raise UnknownModel(
            f"no route is named {str(route)[:80]!r}; in service are {', '.join(served) or 'none'}",
            details=[{"route": str(route)[:80]}],
        )
    lane = found.lane(key, version, drawn)
    if lane is None:
        raise UnknownModel(
            f"model {route!r} has no version {version[:80]!r} in service; there are "
            f"{', '.join(found.versions)}; leave the version empty to take what the route does"
        )
    return lane
