"""The data's own time, and the intervals that windows are aligned to."""

import math
import time
from datetime import UTC, datetime

from gnomon.runtime.errors import InvalidInput

#: Later times are refused: they would not fit the records (milliseconds in 64 bits, with a margin).
LIMIT_SECONDS = 1e12


def seconds(at: datetime | float | None) -> float:
    """Return epoch seconds; a datetime without a zone is UTC, None is now.

    Any clock may be wrong, so 1970 and 2099 are as good as today.

    Raises:
        InvalidInput: if it is not a finite time.
    """
    if at is None:
        return time.time()
    if isinstance(at, datetime):
        return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp()
    try:
        moment = math.nan if isinstance(at, bool) else float(at)
    except (TypeError, ValueError, OverflowError):
        moment = math.nan
    if not abs(moment) < LIMIT_SECONDS:
        raise InvalidInput(
            f"at is {at!r}; expected a datetime or seconds since 1970",
            details=[{"field": "at", "value": repr(at)[:80], "expected": "a time"}],
        )
    return moment


def milliseconds(moment: float) -> int:
    """Return epoch seconds as whole milliseconds."""
    return round(moment * 1000)


def interval(moment: float, length: int) -> int:
    """Return the number of the interval of `length` seconds, counted from the epoch."""
    return math.floor(moment / length)
