"""The interface between a model and what runs it."""

import importlib
import importlib.util
from collections.abc import Mapping
from typing import Any, Protocol

from numpy.typing import NDArray

from gnomon.core.packing import Packing
from gnomon.core.row import Row
from gnomon.runtime.errors import EngineError
from gnomon.runtime.extras import missing_extra
from gnomon.runtime.packages.manifest import Manifest

#: Format → (module that must be installed, module here that has `load(model, manifest)`).
_ENGINES = {
    "trees": ("gnomon.core.trees", "gnomon.runtime.engines.trees"),
    "onnx": ("onnxruntime", "gnomon.runtime.engines.onnx"),
    "tflite": ("ai_edge_litert", "gnomon.runtime.engines.tflite"),
    "sklearn": ("sklearn", "gnomon.runtime.engines.sklearn"),
    "skops": ("skops", "gnomon.runtime.engines.sklearn"),
}


class EngineClosed(EngineError):
    """The model was unloaded before the call reached it; look up the route's model again."""


class RowRunner(Protocol):
    """Packs and runs one row in buffers of its own."""

    def run(self, row: Row) -> list[Any]:
        """Return each output in the manifest's order: a float, or an array with one row.

        Raises as `Engine.run`.
        """


class Engine(Protocol):
    """Runs one loaded model. Threads may share it."""

    @property
    def works_in_caller(self) -> bool:
        """Whether the calling thread does all the work of `run`, so that its CPU clock times it."""

    def run(self, tensors: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return the manifest's output tensors by name.

        Args:
            tensors: name → C-contiguous array of the type that the model takes; the first dimension
                is the row.

        Returns:
            Name → array of the shape (rows, …) and the dtype that the model gives.

        Raises:
            EngineError: a tensor is missing, of another type or shape, or the model failed.
            EngineClosed: the engine was closed.
        """

    def row_runner(self, packing: Packing) -> "RowRunner | None":
        """Return a fast path for one row and one thread at a time, or None if the engine has no
        such path.

        Raises:
            EngineError: the packing does not give the tensors that the model takes.
        """

    def close(self) -> None:
        """Give back all that the model holds; a second call does nothing."""


def available_engines() -> tuple[str, ...]:
    """Return the formats that this process can run, without importing what runs them."""
    return tuple(
        format for format, (needed, _) in _ENGINES.items() if importlib.util.find_spec(needed)
    )


def load_engine(format: str, model: bytes, manifest: Manifest) -> Engine:
    """Load the bytes of a model file.

    Raises:
        EngineError: no engine runs this format here, or it cannot load the model.
    """
    if format not in _ENGINES:
        raise EngineError(
            f"{manifest.reference}: no engine runs the format {format!r}; "
            f"this version of Gnomon knows {', '.join(_ENGINES)}"
        )
    needed, module = _ENGINES[format]
    if not importlib.util.find_spec(needed):
        raise EngineError(
            missing_extra(f"{manifest.reference}: the format {format!r}", needed, format)
        )
    engine: Engine = importlib.import_module(module).load(model, manifest)
    return engine
