"""The parameters that a request for a prediction may carry, read once for every frontend.

- `at`: the data's own time, ISO 8601 text or epoch seconds.
- `key`: a text; while traffic is split, equal keys get the same version.
- `partial`: answer the good rows and mark the bad ones.
- `timeout`: microseconds that the request may wait before it runs.
- `priority`: accepted without effect, since there is no queue.
"""

import math
from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from gnomon.proto import inference_pb2 as oip
from gnomon.runtime.errors import InvalidInput, Overloaded
from gnomon.runtime.limits import STORED_ID_CHARACTERS

_PRIORITY_LIMIT = 1 << 32
_TIMEOUT_LIMIT = 1 << 63
#: Parameters of tensors that belong to extensions which are not served.
UNSERVED = frozenset(("classification", "shared_memory_region"))


class RequestParameters(NamedTuple):
    """How a request wants to be answered; `timeout_ns` 0: it waits as long as it takes."""

    at: datetime | float | None = None
    key: str | None = None
    is_partial: bool = False
    timeout_ns: int = 0

    def check_wait(self, model: str, waited_ns: int) -> None:
        """Refuse a request that has waited too long for its turn.

        Raises:
            Overloaded: it has.
        """
        if 0 < self.timeout_ns < waited_ns:
            raise Overloaded(
                f"model {model[:80]!r}: the request has waited {waited_ns // 1000} µs for its "
                f"turn; its timeout is {self.timeout_ns // 1000} µs",
                details=[{"limit": "timeout", "value": self.timeout_ns // 1000}],
            )


def read_parameters(request: oip.ModelInferRequest) -> RequestParameters:
    """Return a request's parameters; unknown names are ignored.

    Raises:
        InvalidInput: one is of the wrong kind or out of range.
    """
    given = request.parameters
    if not given:
        return RequestParameters()
    _whole(given, "priority", _PRIORITY_LIMIT)
    return RequestParameters(
        read_time(_value(given["at"])) if "at" in given else None,
        _text(given, "key"),
        _flag(given, "partial"),
        _whole(given, "timeout", _TIMEOUT_LIMIT) * 1000,
    )


def check_id(request_id: str) -> None:
    """Refuse a request's id that is too long to be kept.

    Raises:
        InvalidInput: it is.
    """
    if len(request_id) > STORED_ID_CHARACTERS:
        raise wrong("id", request_id, f"at most {STORED_ID_CHARACTERS} characters")


def check_served(name: str, parameters: Iterable[str]) -> None:
    """Refuse the parameters of a tensor that ask for extensions which are not served.

    To ignore them would be to answer something else than was asked for.

    Raises:
        InvalidInput: there is one.
    """
    for unserved in UNSERVED.intersection(parameters):
        raise InvalidInput(
            f"{name[:128]!r}: the parameter {unserved!r} asks for an extension that is not served; "
            "right would be a request without it",
            details=[
                {
                    "field": name[:128],
                    "rule": "parameters",
                    "value": unserved,
                    "expected": "a request without it",
                }
            ],
        )


def read_time(value: bool | int | float | str) -> datetime | float:
    """Return the data's own time from a request's value.

    Raises:
        InvalidInput: it is neither an ISO 8601 text nor epoch seconds.
    """
    expected = "an ISO 8601 text or epoch seconds"
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else float(value)
    except (ValueError, OverflowError) as error:
        raise wrong("parameter 'at'", value, expected) from error
    if isinstance(value, bool) or (isinstance(moment, float) and not math.isfinite(moment)):
        raise wrong("parameter 'at'", value, expected)
    return moment


def wrong(what: str, value: object, expected: str) -> InvalidInput:
    """Return the error for a part of a request that is not a tensor."""
    shown = str(value)[:80]
    return InvalidInput(
        f"{what} is {shown!r}; right would be {expected}",
        details=[{"field": what, "rule": "request", "value": shown, "expected": expected}],
    )


def _value(parameter: oip.InferParameter) -> Any:
    return getattr(parameter, parameter.WhichOneof("parameter_choice") or "string_param")


def _text(given: Any, name: str) -> str | None:
    if name not in given:
        return None
    value = _value(given[name])
    if not isinstance(value, str) or not given[name].WhichOneof("parameter_choice"):
        raise wrong(f"parameter {name!r}", "no text", "a text")
    return value


def _flag(given: Any, name: str) -> bool:
    value = _value(given[name]) if name in given else False
    if not isinstance(value, bool):
        raise wrong(f"parameter {name!r}", value, "true or false")
    return value


def _whole(given: Any, name: str, limit: int) -> int:
    value = _value(given[name]) if name in given else 0
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < limit:
        raise wrong(f"parameter {name!r}", value, f"a whole number from 0 to {limit - 1}")
    return value
