"""Which cells of a field are watched as one, chosen so that the choice does not bias the test.

A level that is chosen for its count in the reference has, on average, another share than that
count says: the largest counts of many are too large, the smallest too small. So of a category with
more than `MOST_CELLS` levels a random tenth of the reference's rows (`CHOOSING`) chooses, and the
rest is what windows are compared with. The two parts of a multinomial sample are independent, so
the promise of false alarms holds as for groups that were chosen without the data.

The levels that count as known were chosen by the same rows. Without itself, a row that is the only
one of its level would be unseen. So such rows count as unseen: that estimates the shares of unseen
and of known levels without bias (leave-one-out, which is Good and Turing's estimate). If fᵢ levels
have i rows, the estimate for unseen varies like f₁ + 2f₂ rows instead of f₁.

Reference: Good, "The population frequencies of species and the estimation of population
parameters" (1953); Esty, "A normal limit law for a nonparametric estimator of the coverage of a
random sample" (1983), for its variance; Neufeld, Dharamshi, Gao and Witten, "Data thinning for
convolution-closed distributions" (2024), for the two parts.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gnomon.core.detectors.alarm import ChangeKind
from gnomon.core.detectors.tilts import MOST_CELLS, Floats
from gnomon.core.reference import FieldReference

#: The part of a reference's rows that chooses the groups of a category with many levels.
CHOOSING = 0.1

# `RandomState` gives the same numbers in every release of NumPy: the groups are part of the state.
_SEED = 2013


@dataclass(frozen=True, slots=True)
class Group:
    """Cells that are watched as one.

    Attributes:
        kind: the change that more or fewer rows in them would be.
        label: what people read.
        cells: the cells' indices.
        budget: share of the budget, before normalisation.
        fine: whether small changes are looked for too.
        effect: how many of the reference's events in these cells count as one.
    """

    kind: ChangeKind
    label: str
    cells: tuple[int, ...]
    budget: float
    fine: bool = True
    effect: float = 1.0


def split_counts(reference: FieldReference, design_effect: float) -> tuple[Floats, Floats]:
    """Return effective counts that choose the groups, and those that windows are compared with.

    Args:
        reference: the field's reference.
        design_effect: how many of its rows count as one.

    Returns:
        Two arrays of float64, of shape (cells,). They are equal unless the field is a category with
        more than `MOST_CELLS` levels.
    """
    given = np.asarray(reference.counts, dtype=np.float64)
    choosing, counts = given / design_effect, given / design_effect
    if reference.kind == "numeric":
        return choosing, counts
    bins = reference.bins
    if bins > MOST_CELLS:
        whole = np.round(counts).astype(np.int64)
        choosing = np.random.RandomState(_SEED).binomial(whole, CHOOSING).astype(np.float64)
        counts = np.maximum(counts - choosing, 0.0)
    single = np.flatnonzero(given[:bins] == 1)
    counts[bins] += counts[single].sum()
    counts[single] = 0.0
    return choosing, counts


def find_groups(reference: FieldReference, choosing: Floats, shares: Floats) -> Iterator[Group]:
    """Yield the groups of a field's cells.

    Args:
        reference: the field's reference.
        choosing: effective counts by which levels are ranked, float64 of shape (cells,).
        shares: estimated share of each cell, float64 of shape (cells,).
    """
    bins = reference.bins
    numeric = reference.kind == "numeric"
    names = reference.cell_names()
    first = 1 if numeric else 0
    if numeric:
        yield Group(ChangeKind.BELOW, names[0], (0,), 0.1)
        yield Group(ChangeKind.ABOVE, names[bins + 1], (bins + 1,), 0.1)
    else:
        effect = _unseen_effect(reference.counts[:bins])
        yield Group(ChangeKind.UNSEEN, "unseen", (bins,), 0.1, effect=effect)
    yield Group(ChangeKind.MISSING, "missing", (reference.missing_cell,), 0.1)
    yield Group(ChangeKind.INVALID, "invalid", (reference.invalid_cell,), 0.1)
    budget = 0.1 if numeric else 0.7
    parts = _parts(choosing[first : first + bins], numeric)
    for part in parts:
        cells = tuple(first + cell for cell in part)
        label = (
            names[cells[0]] if len(cells) == 1 else f"{names[cells[0]]} and {len(cells) - 1} more"
        )
        mass = float(shares[list(cells)].sum())
        yield Group(
            ChangeKind.CELL, label, cells, budget * (0.5 / len(parts) + 0.5 * mass), not numeric
        )


def _unseen_effect(counts: Sequence[int]) -> float:
    once, twice = (sum(count == rows for count in counts) for rows in (1, 2))
    return 1.0 + 2.0 * twice / once if once else 1.0


def _parts(choosing: Floats, ordered: bool) -> list[tuple[int, ...]]:
    """Part cells into at most `MOST_CELLS`: neighbours if they are ordered, else the rare ones."""
    count = len(choosing)
    if count <= MOST_CELLS:
        return [(cell,) for cell in range(count)]
    if ordered:
        return _split(np.arange(count), MOST_CELLS)
    # Of equal counts chance decides: the order of the levels may follow their counts.
    mixed = np.random.RandomState(_SEED).permutation(count)
    order = mixed[np.argsort(-choosing[mixed], kind="stable")]
    alone = [(int(cell),) for cell in order[: MOST_CELLS // 2]]
    rest = order[MOST_CELLS // 2 :]
    # The rare share groups by rank, so that a group holds levels of similar mass.
    return alone + _split(rest, min(MOST_CELLS // 2, len(rest)))


def _split(cells: NDArray[np.intp], parts: int) -> list[tuple[int, ...]]:
    return [tuple(int(cell) for cell in part) for part in np.array_split(cells, parts)]
