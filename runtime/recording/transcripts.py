"""Transcripts: inputs and outputs of a sampled share of requests, as JSON lines.

Only packages that allow it (`deployment.transcript_permille`) are written down, and only on nodes
that keep transcripts. Values of fields that a contract declares private are masked. A transcript
never slows or fails a call: if the queue is full, it is dropped and counted.
"""

import logging
import threading
import zlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec
import numpy as np

from gnomon.core.contract.violations import PRIVATE
from gnomon.core.fields import Field
from gnomon.runtime import clock
from gnomon.runtime.models.model import Model
from gnomon.runtime.prediction import Prediction, Predictions, row_ids
from gnomon.runtime.routing.routes import WEIGHT_TOTAL

logger = logging.getLogger("gnomon.runtime")

#: Requests that wait to be written down.
_WAITING_LIMIT = 1_000
_PAUSE_SECONDS = 0.2


class TranscriptSink(Protocol):
    """Keeps transcripts; one thread uses it."""

    #: How many transcripts it had to give up so far.
    dropped: int

    def put(self, lines: Sequence[bytes]) -> None:
        """Keep transcripts, a JSON object each; raises OSError if they cannot be kept."""

    def close(self) -> None:
        """Close the sink."""


class Transcript(msgspec.Struct, frozen=True):
    """One row with its inputs and outputs.

    Attributes:
        at: the data's own time, epoch seconds.
        id: by what labels are joined.
        inputs: value by field, as the caller gave them; private ones are masked.
        outputs: value by name; private ones are masked.
        fallback: why the route's fallback answered, or None.
    """

    at: float
    route: str
    model: str
    version: str
    digest: str
    id: str
    inputs: dict[str, Any]
    outputs: dict[str, Any]
    fallback: str | None = None


class Transcripts:
    """Takes answered requests from any thread; one of its own writes them down."""

    def __init__(self, sink: TranscriptSink) -> None:
        self._sink = sink
        self._waiting: list[tuple[Model, Transcript]] = []
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._dropped = 0
        self._wake = threading.Event()
        self._stopped = False
        self._thread = threading.Thread(target=self._work, name="gnomon-transcripts", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Return how many were dropped, here or by the sink."""
        return self._dropped + self._sink.dropped

    def row(
        self,
        model: Model,
        route: str,
        row: Mapping[str, Any],
        at: datetime | float | None,
        answer: Prediction,
    ) -> None:
        """Take one answered row, if it is of the share; full, it is dropped and counted.

        Args:
            model: the model that answered.
            route: the route's name.
            row: value by field, as the caller gave it.
            at: the data's time, epoch seconds or datetime; None: now.
            answer: the row's answer.
        """
        if not _is_chosen(model, answer.request_id):
            return
        self._put(model, route, dict(row), at, answer.request_id, dict(answer.outputs), answer)

    def columns(
        self,
        model: Model,
        route: str,
        columns: Mapping[str, Any],
        at: datetime | float | None,
        answer: Predictions,
    ) -> None:
        """Take the rows of an answered request that are of the share; full, it drops and counts
        them.

        Args:
            model: the model that answered.
            route: the route's name.
            columns: field → values of all rows, as the caller gave them.
            at: the data's time, epoch seconds or datetime; None: now.
            answer: the request's answer.
        """
        if not share_of(model):
            return
        for place, request_id in enumerate(row_ids(answer.request_id, answer.rows)):
            if _is_chosen(model, request_id):
                inputs = {name: values[place] for name, values in columns.items()}
                outputs = {name: values[place] for name, values in answer.outputs.items()}
                self._put(model, route, inputs, at, request_id, outputs, answer)

    def flush(self) -> None:
        """Write down what waits."""
        with self._writing:
            with self._lock:
                waiting, self._waiting = self._waiting, []
            if not waiting:
                return
            try:
                self._sink.put([_line(model, one) for model, one in waiting])
            except OSError as error:
                self._drop(len(waiting))
                logger.warning("%d transcripts could not be kept: %s", len(waiting), error)

    def stop(self) -> None:
        """Write down what waits, and end; a second call does nothing."""
        self._stopped = True
        self._wake.set()
        self._thread.join(timeout=10)
        self.flush()
        self._sink.close()

    def _put(
        self,
        model: Model,
        route: str,
        inputs: dict[str, Any],
        at: datetime | float | None,
        request_id: str,
        outputs: dict[str, Any],
        answer: Prediction | Predictions,
    ) -> None:
        timestamp = clock.seconds(at)
        one = Transcript(
            timestamp,
            route,
            answer.model,
            answer.version,
            answer.digest,
            request_id,
            inputs,
            outputs,
            answer.fallback,
        )
        with self._lock:
            if len(self._waiting) < _WAITING_LIMIT:
                self._waiting.append((model, one))
                return
        self._drop(1)

    def _drop(self, count: int) -> None:
        with self._lock:
            self._dropped += count

    def _work(self) -> None:
        while not self._stopped:
            self._wake.wait(_PAUSE_SECONDS)
            try:
                self.flush()
            except Exception:
                logger.exception("transcripts could not be written down")


def share_of(model: Model) -> int:
    """Return how many of 1,000 requests the package allows to be written down."""
    share = model.package.manifest.deployment.transcript_permille
    return share if isinstance(share, int) else 0


def _is_chosen(model: Model, request_id: str) -> bool:
    """Whether a request is of the share: by its identity, so that all nodes choose alike."""
    share = share_of(model)
    number = zlib.crc32(request_id.encode(errors="surrogatepass")) % WEIGHT_TOTAL
    return share >= WEIGHT_TOTAL or number < share


def _line(model: Model, one: Transcript) -> bytes:
    masked = msgspec.structs.replace(
        one,
        inputs=_masked(model.inputs.fields, one.inputs),
        outputs=_masked(model.outputs.fields, one.outputs),
    )
    return msgspec.json.encode(masked, enc_hook=_plain)


def _masked(fields: Sequence[Field], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of the contract's fields; what it does not know may well be private."""
    return {
        field.name: PRIVATE if field.private else values[field.name]
        for field in fields
        if field.name in values
    }


def _plain(value: Any) -> Any:
    """Return what JSON can hold of NumPy's values; text of all else."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return str(value)
