"""Answers records: from a record's bytes to its answer's bytes, without I/O."""

import contextlib
import math
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from gnomon.runtime.decoding import UNDECODABLE, check_unique_names
from gnomon.runtime.errors import GnomonError, InvalidInput
from gnomon.runtime.limits import STORED_ID_CHARACTERS
from gnomon.runtime.prediction import Prediction, PredictRequest
from gnomon.runtime.runtime import Runtime
from gnomon.server.streams.connectors import Record
from gnomon.server.streams.settings import StreamSettings

_decoder = msgspec.json.Decoder(dict[str, Any])


class RecordAnswer(NamedTuple):
    """A record's id, its answer as JSON, and whether it was rejected."""

    identity: str
    data: bytes
    is_refused: bool


class Scorer:
    """Answers records on one route; an invalid record is answered with its error."""

    def __init__(self, runtime: Runtime, route: str, settings: StreamSettings) -> None:
        self._runtime = runtime
        self._route = route
        self._settings = settings

    def answer(self, source: str, records: Sequence[Record]) -> list[RecordAnswer]:
        """Return the answer or error of each record, in order.

        Raises:
            UnknownModel: the route is not in service.
            NotReady: the runtime is closed.
        """
        known = self._known_fields()
        read: list[PredictRequest | GnomonError] = []
        for record in records:
            try:
                read.append(self._read(source, record, known))
            except GnomonError as error:
                read.append(error)
        requests = [one for one in read if isinstance(one, PredictRequest)]
        answers = iter(self._runtime.predict_rows(self._route, requests))
        return [
            _answered(
                record,
                one.request_id if isinstance(one, PredictRequest) else _identity(source, record),
                next(answers) if isinstance(one, PredictRequest) else one,
            )
            for record, one in zip(records, read, strict=True)
        ]

    def _known_fields(self) -> frozenset[str] | None:
        """Return the fields of the route's models if other fields are ignored, else None."""
        route = self._runtime.routes.get(self._route)
        if not self._settings.ignore_unknown or route is None:
            return None
        models = [self._runtime.models.get(target.digest) for target in route.targets]
        return frozenset(
            field.name for model in models if model is not None for field in model.inputs.fields
        )

    def _read(self, source: str, record: Record, known: frozenset[str] | None) -> PredictRequest:
        """Return a record's request.

        Raises:
            InvalidInput: it is not a JSON object, has a name twice, is too long, or its id or time
                is invalid.
        """
        if not record.is_whole:
            raise _wrong("record", f"over {len(record.data)} bytes", "at most that many")
        try:
            row = _decoder.decode(record.data)
        except UNDECODABLE as error:
            raise _wrong("record", error, "a JSON object with a value for each field") from error
        check_unique_names(record.data, len(row), row.values())
        settings = self._settings
        identity = row.pop(settings.id_field, None) if settings.id_field else None
        at = row.pop(settings.time_field, None) if settings.time_field else None
        key = row.pop(settings.key_field, None) if settings.key_field else None
        if known is not None:
            row = {name: value for name, value in row.items() if name in known}
        request_id = _identity(source, record) if identity is None else _text(identity)
        return PredictRequest(row, request_id, None if key is None else _text(key), _time(at))


def _identity(source: str, record: Record) -> str:
    """Return the id of a record without one: the same at each read."""
    return f"{source[-80:]}:{record.position}"


def _answered(record: Record, identity: str, answer: Prediction | GnomonError) -> RecordAnswer:
    document: dict[str, Any] = {"id": identity, "position": record.position}
    if isinstance(answer, GnomonError):
        document |= {"error": answer.code, "message": str(answer), "details": answer.details}
        return RecordAnswer(identity, _encode(document), True)
    document |= {
        "outputs": answer.outputs,
        "model": answer.model,
        "version": answer.version,
        "digest": answer.digest,
    }
    if answer.fallback is not None:
        document["fallback"] = answer.fallback
    if answer.violations:
        document["violations"] = [asdict(one) for one in answer.violations]
    return RecordAnswer(identity, _encode(document), False)


def _encode(document: dict[str, Any]) -> bytes:
    return msgspec.json.encode(document, enc_hook=str)


def _text(value: Any) -> str:
    """Return an identity or a key as text.

    Raises:
        InvalidInput: it is neither a text nor a whole number, or too long.
    """
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not 0 < len(text) <= STORED_ID_CHARACTERS:
        raise _wrong("identity", value, f"a text of at most {STORED_ID_CHARACTERS} characters")
    return text


def _time(value: Any) -> datetime | float | None:
    """Return the record's own time.

    Raises:
        InvalidInput: it is neither an ISO 8601 text nor epoch seconds.
    """
    if value is None:
        return None
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            pass
    elif isinstance(value, int | float) and not isinstance(value, bool):
        # An integer may be too large for a float.
        with contextlib.suppress(OverflowError):
            if math.isfinite(seconds := float(value)):
                return seconds
    raise _wrong("time", value, "an ISO 8601 text or epoch seconds")


def _wrong(what: str, value: object, expected: str) -> InvalidInput:
    shown = str(value)[:80]
    return InvalidInput(
        f"the {what} is {shown!r}; right would be {expected}",
        details=[{"field": what, "rule": "record", "value": shown, "expected": expected}],
    )
