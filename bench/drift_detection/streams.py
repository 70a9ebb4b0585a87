"""Streams with a known truth: twelve fields, without a change or with one."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
ROWS = 500  # rows of a window
REFERENCE_ROWS = 10_000
LEVELS = {"switch": 2, "grade": 5, "site": 12, "part": 50}


@dataclass(frozen=True, slots=True)
class Table:
    """Rows in columns: numbers with NaN if missing, categories as codes with −1.

    Attributes:
        columns: field → values, all of one length; whole numbers if the field is a category.
        levels: category field → number of its levels.
        blocks: natural block of each row, such as its day; None if rows are independent.
        segment: the part of the calendar that the rows belong to.
        units: field → unit, if it is known.
    """

    columns: Mapping[str, Values]
    levels: Mapping[str, int]
    blocks: NDArray[np.int64] | None = None
    segment: str = ""
    units: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))


Draw = Callable[[np.random.Generator, int, int], Table]
"""Draws `rows` rows of window number `window`: (generator, rows, window)."""


@dataclass(frozen=True, slots=True)
class Stream:
    """A reference, and windows that stay or change.

    Attributes:
        name: name of the stream.
        reference: draws the reference tables, one a segment.
        before: draws a window in which nothing has changed.
        after: draws the window that comes this many windows after the change, from 0; None for no
            change.
        fields: the fields that the change affects; empty for any.
    """

    name: str
    reference: Callable[[np.random.Generator], list[Table]]
    before: Draw
    after: Draw | None = None
    fields: frozenset[str] = frozenset()


def normals(generator: np.random.Generator, rows: int, correlation: float = 0.6) -> Values:
    """Return nine columns of standard normals, the first two correlated."""
    normal: Values = generator.standard_normal((9, rows))
    normal[1] = correlation * normal[0] + np.sqrt(1 - correlation**2) * normal[1]
    return normal


def autoregressive(generator: np.random.Generator, rows: int, memory: float = 0.7) -> Values:
    """Return nine columns of standard normals, each row remembering the one before."""
    noise = normals(generator, rows) * np.sqrt(1 - memory**2)
    out: Values = np.empty_like(noise)
    out[:, 0] = normals(generator, 1)[:, 0]
    for row in range(1, rows):
        out[:, row] = memory * out[:, row - 1] + noise[:, row]
    return out


def table(
    generator: np.random.Generator,
    normal: Values,
    *,
    blocks: NDArray[np.int64] | None = None,
    segment: str = "",
) -> Table:
    """Return twelve fields of different shapes, made of nine normal variables.

    Args:
        generator: draws what is missing.
        normal: float64 `(9, rows)`, standard normal.
        blocks: the block of each row, int64 of shape (rows,), if there are any.
        segment: the season of all rows, if any.
    """
    rows = normal.shape[1]
    missing = generator.random(rows) < 0.01
    columns: dict[str, Values] = {
        "plain": normal[0],
        "twin": normal[1],
        "skewed": np.exp(normal[2]),
        "heavy": np.sign(normal[3]) * np.abs(normal[3]) ** 1.5,
        "rounded": np.round(normal[4], 1),
        "gappy": np.where(missing, np.nan, normal[5]),
        "dry": np.maximum(normal[6], 0.0),
        "count": np.floor(np.exp(0.5 * normal[7])),
    }
    steps = generator.random((4, rows))
    columns["switch"] = np.floor(2 * steps[0])
    columns["grade"] = np.searchsorted([0.5, 0.75, 0.9, 0.97], steps[1]).astype(float)
    columns["site"] = np.floor(12 * steps[2])
    zipf = np.cumsum(1 / np.arange(1, 51))
    columns["part"] = np.searchsorted(zipf / zipf[-1], steps[3]).astype(float)
    return Table(columns, LEVELS, blocks, segment)


def independent_reference(generator: np.random.Generator) -> list[Table]:
    """Draw independent rows."""
    return [table(generator, normals(generator, REFERENCE_ROWS))]


def independent(generator: np.random.Generator, rows: int, window: int) -> Table:
    """Draw a window of independent rows."""
    return table(generator, normals(generator, rows))


def _changed(change: Callable[[np.random.Generator, dict[str, Values], int], None]) -> Draw:
    def draw(generator: np.random.Generator, rows: int, window: int) -> Table:
        unchanged = independent(generator, rows, window)
        columns = dict(unchanged.columns)
        change(generator, columns, window)
        return Table(columns, unchanged.levels)

    return draw


def _shift(size: float) -> Draw:
    return _changed(lambda _, columns, __: columns.update(plain=columns["plain"] + size))


def _ramp(_: np.random.Generator, columns: dict[str, Values], window: int) -> None:
    columns["plain"] = columns["plain"] + 0.5 * min(window / 100, 1.0)


def _unit(_: np.random.Generator, columns: dict[str, Values], __: int) -> None:
    columns["skewed"] = columns["skewed"] * 1.609344


def _thousand(_: np.random.Generator, columns: dict[str, Values], __: int) -> None:
    columns["skewed"] = columns["skewed"] * 1000


def _scale(_: np.random.Generator, columns: dict[str, Values], __: int) -> None:
    columns["plain"] = columns["plain"] * 1.25


def _share(generator: np.random.Generator, columns: dict[str, Values], _: int) -> None:
    columns["switch"] = (generator.random(len(columns["switch"])) < 0.4).astype(float)


def _missing(generator: np.random.Generator, columns: dict[str, Values], _: int) -> None:
    gone = generator.random(len(columns["gappy"])) < 0.04 / 0.99
    columns["gappy"] = np.where(gone, np.nan, columns["gappy"])


def _sentinel(generator: np.random.Generator, columns: dict[str, Values], _: int) -> None:
    hit = generator.random(len(columns["plain"])) < 0.01
    columns["plain"] = np.where(hit, -999.0, columns["plain"])


def _flip(generator: np.random.Generator, rows: int, _: int) -> Table:
    return table(generator, normals(generator, rows, -0.6))


def changes() -> Iterator[Stream]:
    """Return the streams in which one thing changes."""
    plain = {"plain"}
    draws: dict[str, tuple[Draw, set[str]]] = {
        "shift 0.1 σ": (_shift(0.1), plain),
        "shift 0.25 σ": (_shift(0.25), plain),
        "shift 0.5 σ": (_shift(0.5), plain),
        "scale 1.25": (_changed(_scale), plain),
        "ramp": (_changed(_ramp), plain),
        "×1000": (_changed(_thousand), {"skewed"}),
        "×1.609": (_changed(_unit), {"skewed"}),
        "category 50→60 %": (_changed(_share), {"switch"}),
        "correlation flip": (_flip, {"plain", "twin", "plain × twin"}),
        "missing 1→5 %": (_changed(_missing), {"gappy"}),
        "sentinel 1 %": (_changed(_sentinel), plain),
    }
    for name, (draw, fields) in draws.items():
        yield Stream(name, independent_reference, independent, draw, frozenset(fields))


BLOCK = 100  # rows over which neighbours' resemblance has died away
PERIOD = 12  # windows of a season's cycle


def _remembering_reference(generator: np.random.Generator) -> list[Table]:
    rows = 2 * REFERENCE_ROWS
    blocks = np.arange(rows) // BLOCK
    return [table(generator, autoregressive(generator, rows), blocks=blocks)]


def _remembering(generator: np.random.Generator, rows: int, window: int) -> Table:
    return table(generator, autoregressive(generator, rows))


def _seasonal(generator: np.random.Generator, rows: int, hour: int) -> Table:
    normal = normals(generator, rows)
    normal += 0.5 * np.sin(2 * np.pi * hour / PERIOD)
    return table(generator, normal, segment=f"hour {hour}")


CODES = 200  # levels of the stream with many


def _many_levels(generator: np.random.Generator, rows: int, window: int) -> Table:
    zipf = np.cumsum(1 / np.arange(1, CODES + 1))
    codes = np.searchsorted(zipf / zipf[-1], generator.random(rows)).astype(float)
    return Table({"code": codes}, {"code": CODES})


def quiet() -> Iterator[Stream]:
    """Return the streams in which nothing changes that training has not seen."""
    yield Stream("independent rows", independent_reference, independent)
    yield Stream("rows with memory 0.7", _remembering_reference, _remembering)
    yield Stream(
        "season within its reference",
        lambda generator: [_seasonal(generator, 5000, hour) for hour in range(PERIOD)],
        lambda generator, rows, window: _seasonal(generator, rows, window % PERIOD),
    )
    yield Stream(
        f"{CODES} levels",
        lambda generator: [_many_levels(generator, REFERENCE_ROWS, 0)],
        _many_levels,
    )
