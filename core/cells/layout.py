"""The layout of a window's counts, and the fixed-point scales of its moments.

Every sum in a window is an integer, so that merging is associative and commutative bit for bit,
in whatever order rows, threads, nodes and windows come. A value x enters the moments as
q = round((x − shift) / step), clamped at ±2³⁰. The step is the power of two that divides half the
reference's range into 2¹⁷ to 2¹⁸ steps, and the shift a multiple of it: whole numbers and halves
are exact, rounding adds at most step²/12 to a variance, and values up to 4,096 half ranges
away, as after a change of unit, still counts in full.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from gnomon.core.field_reference import FieldReference, PairReference

STEPS_LOG2 = 18
MOMENTS = 5
"""Integers of a numeric field: Σq, Σq² (low and high words), Σ score, Σ score²."""
PAIR_SUMS = 3
"""Integers of a pair: rows with both present, Σ sign·sign, Σ score·score."""
SIGN_UNIT = 16
SCORE_UNIT = 256
SCORE_LIMIT = 4095
Q_LIMIT = 2**30 - 1
SKETCH_BUCKETS = 1025


@dataclass(frozen=True, slots=True)
class FieldLayout:
    """Offsets of one field into its side's counts, and its scales."""

    kind: str
    """numeric, sketch (numeric without a profile) or category."""
    bins: int
    cells: int
    cell_count: int
    moments: int
    moment_count: int
    slot: int
    shift: float
    step: float
    center: float
    spread: float
    median: float
    tie: int


@dataclass(frozen=True, slots=True)
class SideLayout:
    """Offsets of one side. Count 0 is the number of rows; the pairs stand last."""

    fields: tuple[FieldLayout, ...]
    pairs: tuple[tuple[int, int], ...]
    """Field indices of each pair."""
    slots: tuple[int, ...]
    """Field index of each slot: the fields that are in a pair."""
    pair_counts: int
    size: int


def fixed_point(minimum: float, maximum: float) -> tuple[float, float]:
    """Return shift and step for values of a range.

    >>> fixed_point(0.0, 100.0)
    (50.0, 0.000244140625)
    """
    half, middle = maximum / 2 - minimum / 2, maximum / 2 + minimum / 2
    exponent = max(math.frexp(half or abs(middle) or 1.0)[1] - STEPS_LOG2, -1000)
    step = math.ldexp(1.0, exponent)
    if abs(middle) < step * 2.0**52:
        middle = round(middle / step) * step
    return middle, step


def lay_out(fields: Sequence[FieldReference], pairs: Sequence[PairReference]) -> SideLayout:
    """Place every count of a side."""
    names = [one.name for one in fields]
    indices = tuple((names.index(pair.first), names.index(pair.second)) for pair in pairs)
    slots = tuple(sorted({index for pair in indices for index in pair}))
    placed, offset = [], 1
    for index, one in enumerate(fields):
        slot = slots.index(index) if index in slots else -1
        placed.append(_lay_out_field(one, slot, offset))
        offset += placed[-1].cell_count + placed[-1].moment_count
    return SideLayout(tuple(placed), indices, slots, offset, offset + PAIR_SUMS * len(indices))


def _lay_out_field(one: FieldReference, slot: int, offset: int) -> FieldLayout:
    kind: str = one.kind
    moment_count = 0
    if kind == "numeric":
        kind = "numeric" if one.edges else "sketch"
        moment_count = MOMENTS if one.edges else SKETCH_BUCKETS
    shift, step = fixed_point(one.minimum, one.maximum)
    return FieldLayout(
        kind=kind,
        bins=one.bins,
        cells=offset,
        cell_count=one.cells,
        moments=offset + one.cells,
        moment_count=moment_count,
        slot=slot,
        shift=shift,
        step=step,
        center=one.mean,
        spread=math.sqrt(one.variance),
        median=one.median,
        tie=round(one.tie_sign * SIGN_UNIT),
    )
