"""Statistics of a window's counts: moments, pairs, correlations, quantiles, and a snapshot.

Functions of the numbers of one side at rest; nothing here locks or counts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite, nan, sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gnomon.core.cells import latency as latency_buckets
from gnomon.core.cells import sketch
from gnomon.core.cells.layout import PAIR_SUMS, Q_LIMIT, SIGN_UNIT, FieldLayout
from gnomon.core.window.binary import SideCounts

OUTCOMES = ("answered", "refused", "failed", "fallback")
Counts = NDArray[np.int64]
_SIGN_SQUARE = SIGN_UNIT * SIGN_UNIT  # what a concordant row adds to a pair's signs


@dataclass(frozen=True, slots=True)
class Moments:
    """Of the present and valid values of one numeric field; NaN if there are none."""

    count: int
    mean: float
    variance: float
    """Mean squared distance from the mean (the divisor is the count)."""
    minimum: float
    maximum: float
    clamped: bool
    """Whether a value lay too far from the reference to count in full in mean and variance."""


class Totals(NamedTuple):
    """What a window counted beside its cells, at one moment; as the properties of `Window`."""

    rows: int
    output_rows: int
    outcomes: dict[str, int]
    outcome_rows: dict[str, int]
    latency_counts: Counts
    violations: Counts


@dataclass(frozen=True, slots=True)
class Cells:
    """All cell counts of a window at one moment, in the order of its references."""

    fields: list[Counts]
    pairs: list[Counts]
    outputs: list[Counts]
    output_pairs: list[Counts]


def outcomes(counts: Counts) -> dict[str, int]:
    """Name the counts by outcome."""
    return {name: int(count) for name, count in zip(OUTCOMES, counts, strict=True)}


def latency(counts: Counts, share: float) -> float | None:
    """Return a latency quantile in nanoseconds, within 1/32; None if nothing was answered."""
    return latency_buckets.quantile(counts, share)


def _field(side: SideCounts, field: int | str) -> tuple[int, FieldLayout]:
    index = side.reference.index(field) if isinstance(field, str) else field
    if not 0 <= index < len(side.reference.fields):
        raise IndexError(f"field {index} of {len(side.reference.fields)}")
    return index, side.reference.window_layout.fields[index]


def cells(side: SideCounts, field: int | str) -> Counts:
    """Return the cell counts of a field, in the order of its reference."""
    _, layout = _field(side, field)
    return side.counts[layout.cells : layout.cells + layout.cell_count].copy()


def moments(side: SideCounts, field: int | str) -> Moments:
    """Return count, mean, variance and extremes of a numeric field.

    Raises:
        TypeError: the field is a category.
    """
    index, layout = _field(side, field)
    if layout.kind == "category":
        raise TypeError(f"field {side.reference.fields[index].name!r} is a category")
    count = int(cells(side, index)[:-2].sum())
    if count == 0:
        return Moments(0, nan, nan, nan, nan, False)
    low, high = (float(value) for value in side.extremes[index])
    if layout.kind == "sketch":
        mean, variance = sketch.moments(_sums(side, layout))
        return Moments(count, mean, variance, low, high, False)
    total, squares_low, squares_high = (int(value) for value in _sums(side, layout)[:3])
    squares = (squares_high << 32) + squares_low
    spread = (count * squares - total * total) / (count * count)
    reach = Q_LIMIT * layout.step
    clamped = low < layout.shift - reach or high > layout.shift + reach
    mean = layout.shift + layout.step * (total / count)
    return Moments(count, mean, layout.step**2 * spread, low, high, clamped)


def _sums(side: SideCounts, layout: FieldLayout) -> Counts:
    return side.counts[layout.moments : layout.moments + layout.moment_count]


def _pair(side: SideCounts, pair: int) -> tuple[int, int, int]:
    layout = side.reference.window_layout
    if not 0 <= pair < len(layout.pairs):
        raise IndexError(f"pair {pair} of {len(layout.pairs)}")
    rows, signs, scores = side.counts[layout.pair_counts :].reshape(-1, PAIR_SUMS)[pair]
    return int(rows), int(signs), int(scores)


def pair_cells(side: SideCounts, pair: int) -> Counts:
    """Return how many rows of a pair are concordant, discordant and incomplete.

    A value equal to the median counts for both sides in the parts that balance the reference, so
    that a change of one field alone leaves the shares of an independent pair as they were.
    """
    rows, signs, _ = _pair(side, pair)
    concordant = (_SIGN_SQUARE * rows + signs + _SIGN_SQUARE) // (2 * _SIGN_SQUARE)
    return np.array([concordant, rows - concordant, int(side.counts[0]) - rows], dtype=np.int64)


def all_cells(sides: list[SideCounts]) -> Cells:
    """Return the cell counts of every field and pair of a window's sides."""
    fields, pairs = zip(*(_side_cells(side) for side in sides), strict=True)
    if len(sides) == 1:
        return Cells(fields[0], pairs[0], [], [])
    return Cells(fields[0], pairs[0], fields[1], pairs[1])


def _side_cells(side: SideCounts) -> tuple[list[Counts], list[Counts]]:
    layout = side.reference.window_layout
    fields = [side.counts[one.cells : one.cells + one.cell_count] for one in layout.fields]
    sums = side.counts[layout.pair_counts :].reshape(-1, PAIR_SUMS)[: len(layout.pairs)]
    pairs = np.empty((len(sums), 3), dtype=np.int64)
    pairs[:, 0] = (_SIGN_SQUARE * sums[:, 0] + sums[:, 1] + _SIGN_SQUARE) // (2 * _SIGN_SQUARE)
    pairs[:, 1] = sums[:, 0] - pairs[:, 0]
    pairs[:, 2] = side.counts[0] - sums[:, 0]
    return fields, list(pairs)


def correlation(side: SideCounts, pair: int) -> float:
    """Return Pearson's correlation of a pair; NaN if one of the fields is constant or absent.

    Values are clamped at 16 reference standard deviations. If values are missing, each field's
    mean and variance are those of all its present values.
    """
    layout = side.reference.window_layout
    rows, _, products = _pair(side, pair)
    if rows == 0:
        return nan
    means, spreads = [], []
    for index in layout.pairs[pair]:
        count = int(cells(side, index)[:-2].sum())
        total, squares = (int(value) for value in _sums(side, layout.fields[index])[3:5])
        means.append(total / count)
        spreads.append((count * squares - total * total) / (count * count))
    if min(spreads) <= 0:
        return nan
    covariance = products / rows - means[0] * means[1]
    return max(-1.0, min(1.0, covariance / sqrt(spreads[0] * spreads[1])))


def quantile(side: SideCounts, field: int | str, share: float) -> float:
    """Return a quantile of a numeric field: within its bin, or within 1/17 from a sketch.

    NaN if nothing was present; the observed extremes bound the answer.
    """
    index, layout = _field(side, field)
    if layout.kind == "category":
        raise TypeError(f"field {side.reference.fields[index].name!r} is a category")
    low, high = (float(value) for value in side.extremes[index])
    if layout.kind == "sketch":
        return float(np.clip(sketch.quantile(_sums(side, layout), share), low, high))
    counts = cells(side, index)[:-2]
    if not counts.any():
        return nan
    borders = np.clip([low, *side.reference.fields[index].edges, high], low, high)
    ranks = np.concatenate([[0], np.cumsum(counts)])
    return float(np.interp(share * ranks[-1], ranks, borders))


def snapshot(service: Mapping[str, Counts], sides: Sequence[SideCounts]) -> dict[str, Any]:
    """Return everything as plain values that JSON can hold; `service` has the counts of calls."""
    found: dict[str, Any] = {
        "rows": int(sides[0].counts[0]),
        "outcomes": outcomes(service["outcomes"]),
        "outcome_rows": outcomes(service["outcome_rows"]),
        "latency_ns": {
            f"p{share}": latency(service["latency"], share / 100) for share in (50, 90, 99)
        },
        "violations": service["violations"].tolist(),
    }
    for name, side in zip(("inputs", "outputs"), sides, strict=False):
        found[name] = _side_snapshot(side)
    return found


def _side_snapshot(side: SideCounts) -> dict[str, Any]:
    fields = {}
    for index, one in enumerate(side.reference.fields):
        counts = [int(count) for count in cells(side, index)]
        entry: dict[str, Any] = {
            "kind": one.kind,
            "cells": dict(zip(one.cell_names(), counts, strict=True)),
        }
        if one.kind == "numeric":
            numbers = asdict(moments(side, index))
            entry |= {key: _plain(number) for key, number in numbers.items()}
            entry["median"] = _plain(quantile(side, index, 0.5))
        fields[one.name] = entry
    correlations = {
        pair.name: _plain(correlation(side, index))
        for index, pair in enumerate(side.reference.pairs)
    }
    return {"fields": fields, "correlations": correlations}


def _plain(number: float) -> float | None:
    """JSON has neither NaN nor infinity."""
    return number if isfinite(number) else None
