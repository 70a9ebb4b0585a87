"""The `onnx` engine: ONNX Runtime through its C interface, or its Python module as a fallback.

The C interface is that of the shared library which the wheel ships. It is found without importing
the Python module, which holds a second copy of the library (27 MB).
"""

import ctypes
import importlib.util
import logging
import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gnomon.core.packing import Packing
from gnomon.core.row import Row
from gnomon.runtime.engines import ort_row, ort_session
from gnomon.runtime.engines.base import EngineClosed
from gnomon.runtime.engines.onnx_file import check_self_contained
from gnomon.runtime.engines.ort_values import SessionClosed, SessionError, initialise
from gnomon.runtime.errors import EngineError
from gnomon.runtime.extras import missing_extra
from gnomon.runtime.packages.manifest import Manifest
from gnomon.runtime.packages.served_tensors import read_served_tensors
from gnomon.runtime.raw_tensors import TEXT

logger = logging.getLogger("gnomon.runtime")

#: A tensor's name, dtype (None: no numbers) and shape; -1 is any size.
Described = tuple[str, np.dtype[Any] | None, tuple[int, ...]]

#: NumPy's dtypes by what ONNX Runtime calls them.
_TYPES: Mapping[str, np.dtype[Any]] = {
    "tensor(float)": np.dtype(np.float32),
    "tensor(double)": np.dtype(np.float64),
    "tensor(int32)": np.dtype(np.int32),
    "tensor(int64)": np.dtype(np.int64),
    "tensor(bool)": np.dtype(np.bool_),
}

#: Session configuration. All data of a model are in its own file (see `onnx_file`); if any were
#: not, this folder, which can hold no file, is where ONNX Runtime looks. The format is set, so that
#: a file that was checked as ONNX is never read in ONNX Runtime's own format.
_ENTRIES = (
    ("session.model_external_initializers_file_folder_path", os.devnull),
    ("session.load_model_format", "ONNX"),
)
#: What ONNX Runtime may compute in advance when it loads a model: each constant, in bytes, and in
#: sizes of the file. A file of a kilobyte could take gigabytes before any limit of ours applies.
_FOLDED_BYTES = 16 << 20
_FOLDED_SIZES = 8


class SignatureTensor(NamedTuple):
    """An input or output as ONNX Runtime describes it.

    Attributes:
        name: of the input or output.
        type: such as "tensor(float)" or "seq(map(int64,tensor(float)))".
        shape: of a tensor; -1 is any length.
        lengths: the same with the names of lengths, or None if they have none.
    """

    name: str
    type: str
    shape: tuple[int, ...]
    lengths: tuple[int | str | None, ...]


_lock = threading.Lock()
_library: ctypes.CDLL | None = None
_LIBRARIES = ("libonnxruntime.so*", "libonnxruntime*.dylib", "onnxruntime.dll")


def _entries(size: int) -> tuple[tuple[str, str], ...]:
    """Return the session configuration for a model file of `size` bytes."""
    folded = max(_FOLDED_BYTES, _FOLDED_SIZES * size)
    return (
        *_ENTRIES,
        ("optimization.constant_folding_max_output_size_in_bytes", str(folded)),
    )


def find_library() -> Path | None:
    """Return ONNX Runtime's shared library with the C interface, or None if it is missing."""
    found = importlib.util.find_spec("onnxruntime")
    for place in (found.submodule_search_locations or ()) if found else ():
        for pattern in _LIBRARIES:
            for path in sorted((Path(place) / "capi").glob(pattern)):
                return path
    return None


def load(model: bytes, manifest: Manifest) -> "OnnxEngine":
    """Load a model; through the C interface if its library is there.

    Raises:
        EngineError: the model cannot be loaded; the message has ONNX Runtime's own words.
    """
    if not _has_texts(manifest) and _initialise():
        return NativeOnnxEngine(model, manifest)
    return PythonOnnxEngine(model, manifest)


def _has_texts(manifest: Manifest) -> bool:
    """Whether tensors of texts are served, which only the Python module takes and gives."""
    served = read_served_tensors(manifest.packing)
    if served is None:
        return False
    inputs = [one.datatype for one in served.served_tensors]
    return TEXT in [*inputs, *(one.datatype for one in manifest.signature.outputs)]


def _initialise() -> bool:
    global _library
    with _lock:
        if _library is None:
            path = find_library()
            if path is None:
                return False
            library = ctypes.CDLL(str(path))
            address = ctypes.cast(library.OrtGetApiBase, ctypes.c_void_p).value
            try:
                initialise(address or 0)
            except SessionError as error:
                logger.warning("the Python module runs ONNX, since %s: %s", path, error)
                return False
            _library = library
    return True


class NativeOnnxEngine:
    """A session through the C interface."""

    works_in_caller = True

    def __init__(self, model: bytes, manifest: Manifest) -> None:
        if not _initialise():
            raise EngineError(
                missing_extra("an ONNX model", "ONNX Runtime's shared library", "onnx")
            )
        self.reference = manifest.reference
        check_self_contained(model, manifest.reference)
        try:
            self.session = ort_session.Session(model, manifest.output_tensors, _entries(len(model)))
        except SessionError as error:
            raise _cannot_load(manifest, error) from error

    def tensors(self) -> tuple[tuple[Described, ...], tuple[Described, ...]]:
        """Return what the model takes and gives, asked for or not."""
        return self.session.inputs, self.session.gives

    def run(self, tensors: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return the output tensors by name, each with rows as the first dimension.

        Arguments and errors are those of `Engine.run`.
        """
        try:
            return self.session.run(tensors)
        except SessionClosed as error:
            raise _closed(self.reference) from error
        except (SessionError, TypeError, ValueError) as error:
            raise _failed(self.reference, error) from error

    def row_runner(self, packing: Packing) -> "NativeRowRunner | None":
        """Return the way of one row without a Python object but its answer.

        None for a model whose outputs have a rank or size that is only known after a run.
        """
        shapes = [shape for _, _, shape in self.session.outputs]
        # ONNX Runtime gives no dimensions both for a number and for a shape that is not known.
        if any(shape[:1] not in ((-1,), (1,)) or -1 in shape[1:] for shape in shapes):
            return None
        return NativeRowRunner(self, packing)

    def close(self) -> None:
        """Give back the session."""
        self.session.close()


class NativeRowRunner:
    """One row at a time; see `RowRunner`."""

    def __init__(self, engine: NativeOnnxEngine, packing: Packing) -> None:
        self._reference = engine.reference
        names = [tensor.name for tensor in packing.tensors]
        packers = dict(zip(names, packing.packers, strict=True))
        try:
            self._runner = ort_row.OrtRowRunner(engine.session, packers)
        except SessionError as error:
            raise _failed(self._reference, error) from error

    def run(self, row: Row) -> list[Any]:
        """Return each output in the manifest's order."""
        try:
            return self._runner.run(row)
        except SessionClosed as error:
            raise _closed(self._reference) from error
        except SessionError as error:
            raise _failed(self._reference, error) from error


class PythonOnnxEngine:
    """A session through the Python module."""

    works_in_caller = True

    def __init__(self, model: bytes, manifest: Manifest) -> None:
        import onnxruntime

        self._reference = manifest.reference
        self._outputs = list(manifest.output_tensors)
        check_self_contained(model, manifest.reference)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.enable_mem_pattern = False
        options.enable_cpu_mem_arena = False
        options.log_severity_level = 3
        for key, value in _entries(len(model)):
            options.add_session_config_entry(key, value)
        try:
            self._session: Any = onnxruntime.InferenceSession(
                model, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise _cannot_load(manifest, error) from error
        known = [output.name for output in self._session.get_outputs()]
        missing = set(self._outputs) - set(known)
        if missing:
            raise _cannot_load(
                manifest, f"the model has no output {missing.pop()!r}; it has {', '.join(known)}"
            )

    def tensors(self) -> tuple[tuple[Described, ...], tuple[Described, ...]]:
        """Return what the model takes and gives, asked for or not."""
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        return tuple(map(_described, inputs)), tuple(map(_described, outputs))

    def signature(self) -> tuple[tuple[SignatureTensor, ...], tuple[SignatureTensor, ...]]:
        """Return all inputs and outputs, also those that are no tensors of numbers."""
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        return tuple(map(_signed, inputs)), tuple(map(_signed, outputs))

    def run(
        self, tensors: Mapping[str, NDArray[Any]], outputs: Sequence[str] = ()
    ) -> dict[str, NDArray[Any]]:
        """Return the output tensors by name, each with rows as the first dimension.

        Arguments and errors are those of `Engine.run`.

        Args:
            tensors: name → array of shape (rows, …).
            outputs: names of the outputs that are wanted; empty: those of the manifest.
        """
        session, names = self._session, list(outputs) or self._outputs
        if session is None:
            raise _closed(self._reference)
        try:
            answers = session.run(names, dict(tensors))
        except Exception as error:
            raise _failed(self._reference, error) from error
        return dict(zip(names, map(_array, answers), strict=True))

    def row_runner(self, packing: Packing) -> None:
        """Return None: the module has no shorter way."""

    def close(self) -> None:
        """Let go of the session."""
        self._session = None


def type_name(dtype: np.dtype[Any] | None) -> str:
    """Return what ONNX Runtime calls a tensor's type."""
    if dtype is None:
        return "no tensor of numbers"
    return next((name for name, one in _TYPES.items() if one == dtype), f"tensor({dtype})")


#: Either of the two; which one depends on what is installed.
OnnxEngine = NativeOnnxEngine | PythonOnnxEngine


def _array(answer: Any) -> NDArray[Any]:
    """Return an answer as an array; texts, which come in one of two types, as objects."""
    array = np.asarray(answer)
    return array.astype(object) if array.dtype.kind == "U" else array


def _described(one: Any) -> Described:
    return str(one.name), _TYPES.get(one.type), _signed(one).shape


def _signed(one: Any) -> SignatureTensor:
    lengths = tuple(one.shape or ())
    shape = tuple(size if isinstance(size, int) and size >= 0 else -1 for size in lengths)
    return SignatureTensor(str(one.name), str(one.type), shape, lengths)


def _cannot_load(manifest: Manifest, why: object) -> EngineError:
    return EngineError(f"{manifest.reference}: ONNX Runtime cannot load the model: {why}")


def _failed(reference: str, why: object) -> EngineError:
    return EngineError(f"{reference}: ONNX Runtime failed: {why}")


def _closed(reference: str) -> EngineClosed:
    return EngineClosed(f"{reference}: the model was unloaded")
