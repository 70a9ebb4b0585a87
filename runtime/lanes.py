"""Routes made ready: each target with its model, its series, its fallback and its shadows."""

from collections.abc import Mapping
from dataclasses import dataclass

from gnomon.runtime import routes
from gnomon.runtime.errors import UnknownModel
from gnomon.runtime.model import Model
from gnomon.runtime.recorder import Recorder
from gnomon.runtime.routes import Route
from gnomon.runtime.series import Series


@dataclass(frozen=True, slots=True)
class Lane:
    """What answers one call: a model, where it is counted, and what stands behind it."""

    route: Route
    model: Model
    series: Series
    fallback: Model | None
    shadows: Mapping[str, tuple[Model, Series]]


@dataclass(frozen=True, slots=True)
class Served:
    """A route in service: the lane of each target; `only` where there is but one."""

    route: Route
    lanes: Mapping[str, Lane]
    only: Lane | None

    def lane(self, key: str | None) -> Lane:
        """Return the lane that a call takes."""
        return self.only or self.lanes[routes.choose(self.route, key)]


def make_ready(route: Route, models: Mapping[str, Model], recorder: Recorder) -> Served:
    """Return the route with its models.

    Raises:
        UnknownModel: one of them is not loaded.
    """
    missing = [digest for digest in route.digests if digest not in models]
    if missing:
        raise UnknownModel(
            f"route {route.name!r} needs the package {missing[0][:16]}, which is not loaded; "
            f"loaded are {', '.join(model.reference for model in models.values()) or 'none'}",
            details=[{"route": route.name, "digest": digest} for digest in missing],
        )
    fallback = models[route.fallback_digest] if route.fallback_digest else None
    shadows = {
        digest: (
            models[digest],
            recorder.series(models[digest].package, route.name, shadow=True),
        )
        for digest, _ in route.shadows
    }
    lanes = {}
    for digest, _ in route.targets:
        model = models[digest]
        series = recorder.series(model.package, route.name)
        behind = fallback if fallback is not model else None
        lanes[digest] = Lane(route, model, series, behind, shadows)
    return Served(route, lanes, next(iter(lanes.values())) if len(lanes) == 1 else None)
