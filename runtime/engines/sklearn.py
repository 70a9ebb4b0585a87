"""The engines `sklearn` and `skops`: a scikit-learn estimator, in a process of its own.

Reading a pickle runs it. So such a package is never opened without a trusted signature, runs only
with the very versions of the libraries that it was built with, may name nothing but what a model is
made of, and is read by another process than the one that serves. If ONNX can say the same, it is
faster by far: each call here goes through a pipe. A file of skops names types instead of programs,
and is read only if all of them are trusted; all else holds for it as well.
"""

import contextlib
import logging
import select
import subprocess
import sys
import threading
from collections.abc import Mapping
from pickle import UnpicklingError
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from gnomon.core.packing import Packing
from gnomon.runtime.engines import pickle_policy, skops_policy
from gnomon.runtime.engines.base import EngineClosed
from gnomon.runtime.engines.sklearn_worker import (
    ModelColumns,
    WorkerAnswers,
    WorkerFailure,
    pack,
    read_frame,
    unpack,
    write_frame,
)
from gnomon.runtime.errors import EngineError
from gnomon.runtime.packages.column_names import first_misplaced
from gnomon.runtime.packages.manifest import Manifest
from gnomon.runtime.packages.requirements import other_versions

logger = logging.getLogger("gnomon.runtime")

#: The estimator's methods that output tensors of a manifest may name.
METHODS = ("predict", "predict_proba", "decision_function")

_LOAD_SECONDS = 60.0
_ANSWER_SECONDS = 30.0


def load(model: bytes, manifest: Manifest) -> "SklearnEngine":
    """Load a model.

    Raises:
        EngineError: a library has another version, the pickle names what it may not, or it fails.
    """
    if different := other_versions(manifest.dependencies):
        raise EngineError(
            f"{manifest.reference}: an estimator runs only with the libraries that it was built "
            f"with: {'; '.join(different)}"
        )
    if unknown := [name for name in manifest.output_tensors if name not in METHODS]:
        raise EngineError(
            f"{manifest.reference}: an estimator gives {', '.join(METHODS)}, not {unknown[0]!r}"
        )
    kind = "skops file" if manifest.format == "skops" else "pickle"
    try:
        if manifest.format == "skops":
            skops_policy.scan(model)
        else:
            pickle_policy.scan(model)
    except (UnpicklingError, ValueError) as error:
        raise EngineError(f"{manifest.reference}: the {kind} is refused: {error}") from error
    return SklearnEngine(model, manifest)


class SklearnEngine:
    """An estimator in another process, which is restarted if it has died."""

    works_in_caller = False

    def __init__(self, model: bytes, manifest: Manifest) -> None:
        self._reference = manifest.reference
        self._format = manifest.format
        self._outputs = manifest.output_tensors
        self._packed = _packed_columns(manifest)
        self._model = model
        self._lock = threading.Lock()
        self._is_closed = False
        self._process: subprocess.Popen[bytes] | None = self._start()

    def run(self, tensors: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return the output tensors by name, each with rows as the first dimension.

        Arguments and errors are those of `Engine.run`.
        """
        if len(tensors) != 1:
            raise EngineError(f"{self._reference}: an estimator takes one tensor: {list(tensors)}")
        (rows,) = tensors.values()
        question = msgspec.msgpack.encode(pack(rows))
        with self._lock:
            if self._is_closed:
                raise EngineClosed(f"{self._reference}: the model was unloaded")
            if self._process is None:
                self._process = self._start()
            answer = self._ask(self._process, [question], _ANSWER_SECONDS)
        if not isinstance(answer, WorkerAnswers):
            reason = answer.message if isinstance(answer, WorkerFailure) else "no answer"
            raise EngineError(f"{self._reference}: the estimator failed: {reason}")
        try:
            arrays = [np.array(unpack(array)) for array in answer.arrays]
        except (ValueError, TypeError) as error:
            raise EngineError(f"{self._reference}: the estimator gave {error}") from error
        return dict(zip(self._outputs, arrays, strict=True))

    def row_runner(self, packing: Packing) -> None:
        """Return None: there is no fast path through a pipe."""

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._is_closed = True
            self._end()
            self._model = b""

    def _start(self) -> "subprocess.Popen[bytes]":
        # Empty: an estimator that names files by relative paths finds none.
        self._folder = TemporaryDirectory(prefix="gnomon-empty-")
        process = subprocess.Popen(
            [sys.executable, "-I", "-m", "gnomon.runtime.engines.sklearn_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=self._folder.name,
            env={},
        )
        self._process = process
        frames = [msgspec.msgpack.encode((self._format, self._outputs)), self._model]
        answer = self._ask(process, frames, _LOAD_SECONDS)
        if not isinstance(answer, ModelColumns):
            self._end()
            reason = answer.message if isinstance(answer, WorkerFailure) else "no answer"
            raise EngineError(f"{self._reference}: the estimator cannot be loaded: {reason}")
        if answer.not_isolated:
            logger.warning(
                "%s: the estimator's process is not wholly isolated: %s",
                self._reference,
                "; ".join(answer.not_isolated),
            )
        # A field that is packed into several columns (one-hot, a vector) moves those behind it.
        is_comparable = len(self._packed) == len(answer.columns)
        if is_comparable and first_misplaced(self._packed, answer.columns) is not None:
            self._end()
            raise EngineError(
                f"{self._reference}: the estimator was fitted on the columns "
                f"{', '.join(answer.columns)}, but its rows are packed as {', '.join(self._packed)}"
            )
        return process

    def _ask(
        self, process: "subprocess.Popen[bytes]", frames: list[bytes], seconds: float
    ) -> WorkerAnswers | WorkerFailure | ModelColumns:
        """Write frames and return what comes back; a process that does not answer is ended."""
        if process.stdin is None or process.stdout is None:
            raise EngineError(f"{self._reference}: the estimator's process has no pipes")
        try:
            for frame in frames:
                write_frame(process.stdin, frame)  # type: ignore[arg-type]
            ready, _, _ = select.select([process.stdout], [], [], seconds)
            data = read_frame(process.stdout) if ready else b""  # type: ignore[arg-type]
            if data:
                return msgspec.msgpack.decode(
                    data, type=WorkerAnswers | WorkerFailure | ModelColumns
                )
            reason = "ended" if ready else f"did not answer within {seconds:g} s"
        except (OSError, msgspec.DecodeError) as error:
            reason = f"broke the protocol ({error})"
        self._end()
        raise EngineError(f"{self._reference}: the estimator's process {reason}")

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        self._folder.cleanup()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


def _packed_columns(manifest: Manifest) -> tuple[str, ...]:
    """Return the field behind each feature of the one tensor."""
    tensors = manifest.packing.get("tensors", ())
    return tuple(feature["field"] for tensor in tensors for feature in tensor["features"])
