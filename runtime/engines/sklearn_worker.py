"""The process in which an estimator runs: it reads frames, predicts, writes frames.

A frame is its length in four bytes and a MessagePack message. Before it reads a model the process
gives up what no model needs: to write files, to read any but those of Python and its libraries, the
network, other processes, and more than a bounded amount of memory and processor time.
"""

import io
import os
import sys
import sysconfig
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np
from numpy.typing import NDArray

from gnomon.runtime.engines import skops_policy
from gnomon.runtime.engines.pickle_policy import ModelUnpickler
from gnomon.runtime.isolation.landlock import allow_reading_only
from gnomon.runtime.isolation.resource_limits import limit_cpu, limit_memory_and_files
from gnomon.runtime.isolation.seccomp import forbid_network_and_processes

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


#: Memory beside what the libraries take: so much, or so many times the size of the file, and for
#: each processor what a thread of the libraries sets aside.
_LEAST_MEMORY, _MEMORY_FACTOR, _THREAD_MEMORY = 2 << 30, 20, 64 << 20
#: Processor time, of all threads, to load a model and to answer once.
_LOAD_CPU_SECONDS, _ANSWER_CPU_SECONDS = 300, 300
#: What libraries read while they run: other libraries, and how many processors there are.
_SYSTEM_FILES = (
    *("/usr/lib", "/usr/local/lib", "/lib", "/lib64", "/etc/ld.so.cache"),
    *("/sys/fs/cgroup", "/sys/devices/system/cpu", "/proc/cpuinfo", "/proc/meminfo"),
)


class Array(msgspec.Struct, frozen=True, array_like=True):
    """An array on its way from one process to the other."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes


class ModelColumns(msgspec.Struct, frozen=True, tag=True):
    """The model is there; `columns` are those of the data frame that it was fitted on, if any.

    `not_isolated` says what the kernel did not let the process give up.
    """

    columns: tuple[str, ...] = ()
    not_isolated: tuple[str, ...] = ()


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
        not_isolated = _confine(len(data))
        model = load(data)
        functions = [getattr(model, method) for method in methods]
    except Exception as error:
        write_frame(
            answers, msgspec.msgpack.encode(WorkerFailure(f"{type(error).__name__}: {error}"))
        )
        return
    write_frame(answers, msgspec.msgpack.encode(ModelColumns(_columns(model), not_isolated)))
    while question := read_frame(questions):
        write_frame(answers, msgspec.msgpack.encode(_answer(functions, question)))


def _columns(model: Any) -> tuple[str, ...]:
    return tuple(map(str, getattr(model, "feature_names_in_", ())))


def _unpickle(data: bytes) -> Any:
    return ModelUnpickler(io.BytesIO(data)).load()


def _answer(functions: list[Any], question: bytes) -> WorkerAnswers | WorkerFailure:
    try:
        limit_cpu(_ANSWER_CPU_SECONDS)
        rows = unpack(msgspec.msgpack.decode(question, type=Array))
        return WorkerAnswers(tuple(pack(np.asarray(function(rows))) for function in functions))
    except Exception as error:
        return WorkerFailure(f"{type(error).__name__}: {error}")


def _confine(model_bytes: int) -> tuple[str, ...]:
    """Give up what a model has no need of; return what the kernel cannot withhold."""
    # While files may still be written: bytecode is one.
    import joblib  # type: ignore[import-untyped]
    import scipy
    import sklearn.base
    import threadpoolctl

    # It starts a program, and remembers what that says.
    joblib.cpu_count(only_physical_cores=True)
    threads = _THREAD_MEMORY * (os.cpu_count() or 1)
    limit_memory_and_files(max(_LEAST_MEMORY, _MEMORY_FACTOR * model_bytes) + threads)
    limit_cpu(_LOAD_CPU_SECONDS)
    libraries = (np, scipy, sklearn, joblib, threadpoolctl)
    folders = {Path(str(one.__file__)).parents[1] for one in libraries}
    folders |= {Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")}
    lacking = []
    try:
        allow_reading_only([*folders, *map(Path, _SYSTEM_FILES)])
    except OSError as error:
        lacking.append(f"files can be read ({error})")
    try:
        forbid_network_and_processes()
    except OSError as error:
        lacking.append(f"network and processes are not forbidden ({error})")
    return tuple(lacking)


if __name__ == "__main__":
    main()
