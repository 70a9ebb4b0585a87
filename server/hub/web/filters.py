"""Filters of the templates: numbers and times as text."""

from collections.abc import Callable, Mapping
from typing import Any

from gnomon.server.hub.store.clock import calendar, now_ms


def moment(at: int | None) -> str:
    """Return a time of day, UTC.

    >>> moment(0)
    '1970-01-01 00:00:00 UTC'
    """
    if at is None:
        return "never"
    return f"{calendar(at):%Y-%m-%d %H:%M:%S} UTC"


def date(at: int | None) -> str:
    """Return a date, UTC."""
    return "–" if at is None else f"{calendar(at):%Y-%m-%d}"


def ago(at: int | None) -> str:
    """Return how long ago something was, roughly."""
    if at is None:
        return "never"
    seconds = max(0, now_ms() - at) // 1_000
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"


def share(part: int, whole: int) -> str:
    """Return a share in percent.

    >>> share(1, 8), share(0, 0)
    ('12.50 %', '–')
    """
    return f"{part / whole:.2%}".replace("%", " %") if whole else "–"


def permille(weight: int) -> str:
    """Return parts in 1,000 as percent.

    >>> permille(100), permille(5)
    ('10 %', '0.5 %')
    """
    return f"{weight / 10:g} %"


def number(value: float | None) -> str:
    """Return a number with separators; small ones to four digits."""
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"


def words(name: str) -> str:
    """Return an identifier as words.

    >>> words("source_moved")
    'source moved'
    """
    return name.replace("_", " ")


def size(value: int) -> str:
    """Return bytes in a unit that fits."""
    amount = float(value)
    for unit in ("B", "KiB", "MiB"):
        if amount < 1_024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1_024
    return f"{amount:.1f} GiB"


FILTERS: Mapping[str, Callable[..., Any]] = {
    one.__name__: one for one in (moment, date, ago, permille, number, words, size)
}
