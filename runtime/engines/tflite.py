"""The `tflite` engine: LiteRT through its Python module.

An interpreter serves one thread at a time, so an engine keeps as many as threads have called at
once. Each remembers the batch it was last laid out for; the next batch of that size costs nothing.
"""

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnomon.core.packing import Packing
from gnomon.runtime.engines.base import EngineClosed
from gnomon.runtime.engines.tflite_file import check_self_contained
from gnomon.runtime.errors import EngineError
from gnomon.runtime.packages.manifest import Manifest


def load(model: bytes, manifest: Manifest) -> "TfliteEngine":
    """Load a model.

    Raises:
        EngineError: the model cannot be loaded; the message has LiteRT's own words.
    """
    return TfliteEngine(model, manifest)


class TfliteEngine:
    """A model with as many interpreters as threads need."""

    works_in_caller = True

    def __init__(self, model: bytes, manifest: Manifest) -> None:
        check_self_contained(model, manifest.reference)
        self._reference = manifest.reference
        self._outputs = manifest.output_tensors
        self._model = model
        self._lock = threading.Lock()
        self._closed = False
        self._idle = [self._new(model)]

    def run(self, tensors: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return the output tensors by name, each with rows as the first dimension.

        Arguments and errors are those of `Engine.run`.
        """
        interpreter = self._borrow()
        try:
            answers = interpreter.run(tensors)
        except (ValueError, RuntimeError, KeyError, TypeError) as error:
            # An interpreter that failed half-way is not used again.
            raise EngineError(f"{self._reference}: LiteRT failed: {error}") from error
        self._give_back(interpreter)
        return answers

    def row_runner(self, packing: Packing) -> None:
        """Return None: the interpreter has no shorter way."""

    def close(self) -> None:
        """Let go of all interpreters; a call in progress ends on its own."""
        with self._lock:
            self._closed = True
            self._idle.clear()
            self._model = b""

    def _borrow(self) -> "_Interpreter":
        with self._lock:
            if self._closed:
                raise EngineClosed(f"{self._reference}: the model was unloaded")
            if self._idle:
                return self._idle.pop()
            model = self._model
        return self._new(model)

    def _give_back(self, interpreter: "_Interpreter") -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(interpreter)

    def _new(self, model: bytes) -> "_Interpreter":
        try:
            return _Interpreter(model, self._outputs)
        except (ValueError, RuntimeError, KeyError) as error:
            raise EngineError(
                f"{self._reference}: LiteRT cannot load the model: {error}"
            ) from error


class _Interpreter:
    """One interpreter, laid out for the batch it saw last."""

    def __init__(self, model: bytes, outputs: tuple[str, ...]) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        # Without the default delegate: it cannot change the batch, and small models gain nothing.
        self._interpreter: Any = Interpreter(
            model_content=model,
            num_threads=1,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
        self._interpreter.allocate_tensors()
        inputs = self._interpreter.get_input_details()
        self._inputs = {detail["name"]: (detail["index"], detail["dtype"]) for detail in inputs}
        self._shapes = {detail["name"]: tuple(detail["shape"].tolist()) for detail in inputs}
        found = {one["name"]: one["index"] for one in self._interpreter.get_output_details()}
        missing = [name for name in outputs if name not in found]
        if missing:
            raise ValueError(f"the model has no output {missing[0]!r}; it has {', '.join(found)}")
        self._outputs = [(name, found[name]) for name in outputs]

    def run(self, tensors: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        interpreter = self._interpreter
        moved = False
        for name, (index, dtype) in self._inputs.items():
            array = tensors.get(name)
            if array is None:
                raise ValueError(f"tensor {name!r} is missing")
            if array.dtype != dtype:
                raise ValueError(f"tensor {name!r} is {array.dtype}, expected {np.dtype(dtype)}")
            if array.shape != self._shapes[name]:
                interpreter.resize_tensor_input(index, array.shape, strict=True)
                self._shapes[name] = array.shape
                moved = True
        if moved:
            interpreter.allocate_tensors()
        for name, (index, _) in self._inputs.items():
            interpreter.set_tensor(index, tensors[name])
        interpreter.invoke()
        return {name: interpreter.get_tensor(index) for name, index in self._outputs}
