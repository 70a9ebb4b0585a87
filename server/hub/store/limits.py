"""Bounds on numbers that come from outside, so that SQL can store them and sums stay finite."""

from datetime import datetime
from typing import Annotated, Final

from pydantic import BeforeValidator, Field

from gnomon.runtime import clock
from gnomon.runtime.limits import MAXIMUM_LABEL

#: The largest integer that SQL stores.
MAXIMUM_INTEGER: Final = 2**63 - 1

#: The largest magnitude of a time, Unix milliseconds: the same years as `at` of a prediction.
MAXIMUM_TIME_MS: Final = int(clock.LIMIT_SECONDS) * 1_000

#: The largest magnitude of a label or prediction that is compared.
MAXIMUM_VALUE: Final = MAXIMUM_LABEL

#: The most rows that one window may count.
MAXIMUM_ROWS: Final = 10**12

#: Where counters stop: the largest integer that every JSON reader holds exactly.
MAXIMUM_COUNT: Final = 2**53 - 1

#: A time in Unix milliseconds in a request.
TimeMs = Annotated[int, Field(ge=-MAXIMUM_TIME_MS, le=MAXIMUM_TIME_MS)]


def _read_time(value: object) -> object:
    """Return the Unix milliseconds that a text of ISO 8601 names; without a zone, in UTC."""
    if not isinstance(value, str):
        return value
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise ValueError(
            "expected Unix milliseconds, or a time such as 2026-03-01T12:00Z"
        ) from error
    return clock.milliseconds(clock.seconds(moment))


#: The same, or a text of ISO 8601.
Time = Annotated[
    TimeMs,
    BeforeValidator(
        _read_time,
        json_schema_input_type=TimeMs
        | Annotated[str, Field(json_schema_extra={"format": "date-time"})],
    ),
]

#: A position in a table in a request.
Position = Annotated[int, Field(ge=0, le=MAXIMUM_INTEGER)]

#: A number of things in a request.
Count = Annotated[int, Field(ge=0, le=MAXIMUM_COUNT)]


def is_time(at: int) -> bool:
    """Return whether a time in Unix milliseconds is within bounds."""
    return -MAXIMUM_TIME_MS <= at <= MAXIMUM_TIME_MS


def is_comparable(value: float) -> bool:
    """Return whether a label or prediction is finite and within bounds; NaN is not."""
    return -MAXIMUM_VALUE <= value <= MAXIMUM_VALUE
