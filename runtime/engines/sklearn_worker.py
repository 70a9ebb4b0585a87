"""The process in which an estimator runs: it reads frames, predicts, writes frames.

A frame is its length in four bytes and a MessagePack message. The process can put no
byte into a file: what a model's code tries, it tries here.
"""

import io
import os
import resource
import sys
from typing import Any, BinaryIO

import msgspec
import numpy as np
from numpy.typing import NDArray

from gnomon.runtime.engines import skops_policy
from gnomon.runtime.engines.pickle_policy import ModelUnpickler

__all__ = [
    "Array",
    "ModelColumns",
    "WorkerFailure",
    "main",
    "pack",
    "read_frame",
    "unpack",
    "write_frame",
]


class Array(msgspec.Struct, frozen=True, array_like=True):
    """An array on its way from one process to the other."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes


class ModelColumns(msgspec.Struct, frozen=True, tag=True):
    """The model is there; `columns` are those of the data frame that it was fitted on, if any."""

    columns: tuple[str, ...] = ()


class WorkerAnswers(msgspec.Struct, frozen=True, tag=True):
    """The outputs, in the order of the methods in the first frame."""

    arrays: tuple[Array, ...]


class WorkerFailure(msgspec.Struct, frozen=True, tag=True):
    """What went wrong."""

    message: str


def pack(array: NDArray[Any]) -> Array:
    """Return an array of numbers, of any shape and dtype, as a message."""
    return Array(array.dtype.str, array.shape, np.ascontiguousarray(array).tobytes())


def unpack(array: Array) -> NDArray[Any]:
    """Return a message as an array of the dtype and shape that it names, read only.

    Raises:
        ValueError: it holds no numbers, or not as many as its shape says.
    """
    dtype = np.dtype(array.dtype)
    if dtype.hasobject:
        raise ValueError(f"an array of {dtype} holds no numbers")
    return np.frombuffer(array.data, dtype).reshape(array.shape)


def write_frame(stream: BinaryIO, data: bytes) -> None:
    """Write one frame."""
    stream.write(len(data).to_bytes(4, "little") + data)
    stream.flush()


def read_frame(stream: BinaryIO) -> bytes:
    """Return one frame; empty if the other side has gone."""
    head = stream.read(4)
    return stream.read(int.from_bytes(head, "little")) if len(head) == 4 else b""


def main() -> None:
    """Load the model of the first two frames (what it is, the file), then answer until the end.

    Outputs are called by the estimator's methods: `predict`, `predict_proba`, `decision_function`.
    """
    answers = os.fdopen(os.dup(1), "wb")
    # What the model prints is no answer.
    os.dup2(2, 1)
    questions = sys.stdin.buffer
    format, methods = msgspec.msgpack.decode(
        read_frame(questions), type=tuple[str, tuple[str, ...]]
    )
    data = read_frame(questions)
    try:
        load = skops_policy.reader() if format == "skops" else _unpickle
        _forbid()
        model = load(data)
        functions = [getattr(model, method) for method in methods]
    except Exception as error:
        write_frame(
            answers, msgspec.msgpack.encode(WorkerFailure(f"{type(error).__name__}: {error}"))
        )
        return
    write_frame(answers, msgspec.msgpack.encode(ModelColumns(_columns(model))))
    while question := read_frame(questions):
        write_frame(answers, msgspec.msgpack.encode(_answer(functions, question)))


def _columns(model: Any) -> tuple[str, ...]:
    return tuple(map(str, getattr(model, "feature_names_in_", ())))


def _unpickle(data: bytes) -> Any:
    return ModelUnpickler(io.BytesIO(data)).load()


def _answer(functions: list[Any], question: bytes) -> WorkerAnswers | WorkerFailure:
    try:
        rows = unpack(msgspec.msgpack.decode(question, type=Array))
        return WorkerAnswers(tuple(pack(np.asarray(function(rows))) for function in functions))
    except Exception as error:
        return WorkerFailure(f"{type(error).__name__}: {error}")


def _forbid() -> None:
    """Take from this process what a model has no need of: files to write, and a core to leave."""
    import sklearn.base  # noqa: F401 (while files may still be written: bytecode is one)

    for limit in (resource.RLIMIT_FSIZE, resource.RLIMIT_CORE):
        resource.setrlimit(limit, (0, 0))


if __name__ == "__main__":
    main()
