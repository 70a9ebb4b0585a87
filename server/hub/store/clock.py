"""The hub's clock and identifiers, which are those of builders and nodes."""

from datetime import UTC, datetime

from gnomon.runtime.ids import new_id, now_ms

__all__ = ["DAY_MS", "calendar", "new_id", "now_ms"]

#: Milliseconds of a day.
DAY_MS = 86_400_000

_FIRST = datetime.min.replace(tzinfo=UTC)
_LAST = datetime.max.replace(tzinfo=UTC)


def calendar(at: float) -> datetime:
    """Return Unix milliseconds as a UTC datetime; years outside of 1 to 9999 as the nearest one.

    The data's own time comes from nodes and people, whose clocks may say anything.
    """
    if at <= _FIRST.timestamp() * 1_000:
        return _FIRST
    if at >= _LAST.timestamp() * 1_000:
        return _LAST
    return datetime.fromtimestamp(at / 1_000, UTC)
