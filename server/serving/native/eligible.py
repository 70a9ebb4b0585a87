"""Which routes the native loops answer: those whose models and contracts need no Python.

The handler answers all others through the same frontend: routes with a target that has another
engine, a pattern, or outputs whose size is known only after a run.
"""

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gnomon.core.fields import Field
from gnomon.runtime.engines.onnx import NativeOnnxEngine
from gnomon.runtime.engines.trees import TreesEngine
from gnomon.runtime.models.model import Model
from gnomon.runtime.models.tensor_model import TensorModel
from gnomon.runtime.packages.manifest import TensorSpec
from gnomon.runtime.predicting.served_routes import RouteTarget, ServedRoute
from gnomon.server.serving.admission.clients import Clients
from gnomon.server.serving.native.route import NativeRoute
from gnomon.server.serving.native.target import NativeTarget
from gnomon.server.serving.route_path import RoutePath

_log = logging.getLogger(__name__)

#: Datatypes on the wire by the engine's element type, without a change of value.
_FLOATS = {"float32": "FP32", "float64": "FP64"}
_WHOLE = {"INT32": np.dtype(np.int32), "INT64": np.dtype(np.int64)}

#: Engines whose sessions the loops run without the interpreter.
NativeEngine = NativeOnnxEngine | TreesEngine


class UnsupportedRoute(ValueError):
    """Why the loops cannot answer a route; `code` is for metrics."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(why)
        self.code = code


class BuiltRoute(NamedTuple):
    """A route for one loop, with its targets."""

    route: NativeRoute
    targets: Sequence[NativeTarget]

    @property
    def usual_seconds(self) -> float:
        """Return how long calls of its slowest target usually take, 0 before the first."""
        return max(target.usual_ns for target in self.targets) / 1e9


def native_routes(served: Mapping[str, ServedRoute], clients: Clients) -> dict[str, NativeRoute]:
    """Return the routes that need no Python, by name, each with its own targets."""
    found = {name: build_route(name, one, clients) for name, one in served.items()}
    return {name: one.route for name, one in found.items() if isinstance(one, BuiltRoute)}


def why_python(served: ServedRoute) -> RoutePath | None:
    """Return why Python has to answer a route, by what is known without building it, or None."""
    try:
        _check_supported(served)
    except UnsupportedRoute as why:
        return RoutePath(False, why.code, str(why))
    return None


def build_route(name: str, served: ServedRoute, clients: Clients) -> BuiltRoute | RoutePath:
    """Return a route for one loop, with targets of its own, or why Python has to answer it."""
    try:
        return _route(name, served, clients)
    except UnsupportedRoute as why:
        return RoutePath(False, why.code, str(why))
    except ValueError as why:
        return RoutePath(False, "contract", str(why))
    except Exception:
        # Python answers the route; a swap of routes must not fail because of this.
        _log.exception("could not build the native route %s", name)
        return RoutePath(False, "failed", "it could not be built; see the log")


def _route(name: str, served: ServedRoute, clients: Clients) -> BuiltRoute:
    """Return a route; raises `ValueError`, which says why it needs Python.

    All targets or none are native: for a target that C declines, Python would draw again.
    """
    _check_supported(served)
    route = served.route
    laid = {
        digest: _build_target(name, served.targets[digest])
        for digest, weight in route.targets
        if weight
    }
    native = NativeRoute(
        name,
        [
            (laid[digest], weight, clients.counts(name, digest))
            for digest, weight in route.targets
            if weight
        ],
        clients.counts(name, ""),
        max((shadow.weight for shadow in route.shadows), default=0),
    )
    return BuiltRoute(native, tuple(laid.values()))


def _check_supported(served: ServedRoute) -> None:
    """Raise `UnsupportedRoute` if a route needs Python by its settings or its engines."""
    if served.is_written_down:
        raise UnsupportedRoute("transcripts", "transcripts are made of its calls")
    if served.batching is not None:
        raise UnsupportedRoute("batching", "its rows are gathered with those of other calls")
    for target in served.targets.values():
        if isinstance(target.model, TensorModel):
            raise UnsupportedRoute("engine", "its tensors are served as they are")
        _native_engine(target.model)


def _native_engine(model: Model) -> NativeEngine:
    if not isinstance(model.engine, NativeOnnxEngine | TreesEngine):
        raise UnsupportedRoute("engine", "its engine has no C interface")
    return model.engine


def _build_target(name: str, target: RouteTarget) -> NativeTarget:
    """Return what answers for a target; raises `ValueError`, which says why it needs Python."""
    model = target.model
    engine = _native_engine(model)
    packing = model.packing
    names = [tensor.name for tensor in packing.tensors]
    return NativeTarget(
        model.inputs,
        model.outputs,
        dict(zip(names, packing.packers, strict=True)),
        engine.session,
        target.series.direct(),
        _outputs(model, engine),
        [len(field.shape) <= 1 for field in model.inputs.fields],
        name,
        model.version,
        model.digest,
    )


def _outputs(model: Model, engine: NativeEngine) -> list[dict[str, Any]]:
    specs = model.package.manifest.signature.outputs
    fields = model.outputs.fields
    if [spec.name for spec in specs] != [field.name for field in fields]:
        raise UnsupportedRoute("outputs", "its signature has the outputs in another order")
    return [
        _output(spec, field, kind, shape)
        for spec, field, (_, kind, shape) in zip(specs, fields, engine.session.outputs, strict=True)
    ]


def _output(
    spec: TensorSpec, field: Field, kind: np.dtype[Any] | None, shape: tuple[int, ...]
) -> dict[str, Any]:
    """Return how an output is written; raises `ValueError` if Python must write it."""
    size = math.prod(shape[1:])
    if shape[:1] not in ((-1,), (1,)) or min(shape[1:], default=1) < 1 or size != field.size:
        raise UnsupportedRoute(
            "outputs", f"output {field.name!r} has no fixed size of {field.size} a row"
        )
    if not _is_supported(spec, field, kind):
        raise UnsupportedRoute(
            "outputs", f"output {field.name!r} is {kind} and becomes {spec.datatype}"
        )
    tail = field.shape or ((1,) if len(spec.shape) > 1 else ())
    return {
        "name": spec.name,
        "datatype": spec.datatype,
        "width": size,
        "shape": tail,
        "texts": tuple(field.allowed or ()) if field.kind.is_text else (),
    }


def _is_supported(spec: TensorSpec, field: Field, kind: np.dtype[Any] | None) -> bool:
    if field.kind.is_vector:
        return spec.datatype == "FP32" and kind == np.float32
    if field.kind.is_float:
        return _FLOATS[field.kind.value] == spec.datatype and kind in (np.float32, np.float64)
    if field.kind.is_integer:
        return kind == _WHOLE.get(spec.datatype)
    whole = kind in _WHOLE.values()
    return field.kind.is_text and bool(field.allowed) and whole and spec.datatype == "BYTES"
