"""The set of tilts: the changes that a detector looks for, as weights of cells.

A tilt θ gives each cell a score. If the rows fall into the cells with shares p, then
`exp(θ·c)` of a window with counts c has the mean `Z(θ)^n`, `Z(θ) = Σ p exp(θ)`; dividing by it
makes evidence against p. The set holds tilts along location and scale on normal scores of
the bins, along changes of unit, and along single cells.

What evidence costs, for n effective rows of a reference of T effective rows:

* cells of enough events: `n·log(Z + τ√V) + n·max(n, R)/2 · log(1 + V / ((T + 1) Z²))` with
  `V = Σ p exp(2θ) − Z²`. The first term is the largest mean over all shares within the tolerance
  τ (in χ distance: a shift of the location by τ σ, or of a share p by τ √(p(1−p))); the second
  prices that p is estimated. R is a part (`SHAPE_PATIENCE`, `GROUP_PATIENCE`) of the
  rows over which the tilt must gather its evidence (log threshold / information of a row): an
  error of the reference repeats in every window, so its price must grow with the square of all
  rows gathered, not of each window's.
* cells of few events a: `n·(exp(θ) − 1)·p⁺`, where p⁺ = (a + √(2aA) + A)/T is the largest share
  that the reference leaves credible (A: log threshold).
* bursts in such cells: evidence 1/P from k rows on, none below, where P is the chance of k or
  more rows under the reference's posterior and k the least count that alarms at once. For what
  is outside the range of the reference this is the chance that the k highest of T + n ranks
  are all new.

Reference: Shin, Ramdas and Rinaldo, "E-detectors: a nonparametric framework for sequential
change detection" (2022), for the statistic; the price_model of the reference is derived above.
"""

from dataclasses import dataclass
from math import log
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from gnomon.core.detectors.alarm import ChangeKind

Floats = NDArray[np.float64]

SHIFTS = (0.06, 0.1, 0.17, 0.3, 0.55, 1.0, 1.8)  # σ of normal scores
SPREADS = (1.1, 1.25, 1.6)  # ratio of spreads, and their inverses
STEPS = (0.07, -0.07, 0.13, -0.13, 0.25, -0.25, 0.5, -0.5)  # shifts of a share, √(2·nats a row)
COARSE_STEPS = (0.18,)  # the same for single bins
RATIOS = (2.0, 4.0, 12.0)  # times a rare cell's largest credible share
SHAPE_PATIENCE, GROUP_PATIENCE = 0.5, 1.0  # see R above; one group may have the whole budget
FEW = 30.0  # events of a cell in the reference below which it is rare
PSEUDO = 0.5  # prior events of a cell
OUTSIDE = 1.0  # the same beyond the extremes: each is exceeded by 1/T of further rows on average
STEEPEST = 3.0  # |θ| of location and scale: beyond it a handful of rows would decide
UNIT_TWINS = 0.1  # total variation under which two changes of unit cannot be distinguished
UNIT_MARGIN = 5.0  # nats by which a change of unit must explain more than anything simpler
UNIT_DISTANCE = 0.2  # total variation under which a change of unit looks like none
MOST_CELLS = 32  # cells of a field that are watched one by one


@dataclass(frozen=True, slots=True)
class Tilt:
    """What one tilt stands for: the change, its size or its label, and the cells it looks at."""

    kind: ChangeKind
    size: float
    label: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class TiltSet:
    """Tilts of one field as flat arrays; the first `len(dense)` are dense, the rest one group.

    Attributes:
        tilts: what each tilt stands for.
        dense: tilts × cells, scores of the dense tilts.
        cell_group: the group of each cell; `groups` if it has none.
        group: the group that each tilt looks at; 0 for dense tilts.
        theta: score of a row in the group; 0 for dense tilts.
        linear, quadratic, reach: the price of a row, of a row times the greater of the window's
            rows and `reach`, see the module; for a burst the events and rows of the reference,
            and −1.
        weight: share of the budget, sums to 1.
        preference: log weight with which the tilts compete to explain an alarm.
        groups: number of groups.
        shares: estimated share of rows in each cell.
    """

    tilts: tuple[Tilt, ...]
    dense: Floats
    cell_group: NDArray[np.int32]
    group: NDArray[np.int32]
    theta: Floats
    linear: Floats
    quadratic: Floats
    reach: Floats
    weight: Floats
    preference: Floats
    groups: int
    shares: Floats


def normal_cuts(shares: Floats) -> Floats:
    """Return the normal quantiles that part cells of the given shares, with infinite ends."""
    inner = np.cumsum(shares)[:-1] / shares.sum()
    normal = NormalDist()
    cuts = [normal.inv_cdf(min(max(float(value), 1e-12), 1 - 1e-12)) for value in inner]
    return np.array([-np.inf, *cuts, np.inf])


def normal_shares(cuts: Floats, shift: float, spread: float) -> Floats:
    """Return the shares between `cuts` of a normal with mean `shift` and deviation `spread`."""
    normal = NormalDist(shift, spread)
    inner = [normal.cdf(float(cut)) for cut in cuts[1:-1]]
    return np.diff(np.array([0.0, *inner, 1.0]))


def moved_shares(edges: Floats, shares: Floats, factors: Floats, offsets: Floats) -> Floats:
    """Return the shares after each map `x → factor·x + offset`.

    Within a bin the values are assumed to be spread evenly.

    Args:
        edges: edges of the bins, float64 of shape (bins + 1,).
        shares: below, in each bin and above, float64 of shape (bins + 2,).
        factors: one for each map, float64 of shape (maps,).
        offsets: one for each map, float64 of shape (maps,).

    Returns:
        float64 of shape (maps, bins + 2).
    """
    spread = max(float(edges[-1] - edges[0]), 1e-300)
    grid = np.concatenate(([edges[0] - 1e-9 * spread], edges, [edges[-1] + 1e-9 * spread]))
    total = np.concatenate(([0.0], np.cumsum(shares)))
    total /= total[-1]
    # total[0] belongs to the lowest value, total[1] to edges[0], …, total[-1] to the highest.
    back = (edges[None, :] - offsets[:, None]) / factors[:, None]
    cdf = np.interp(back, grid, total, left=0.0, right=1.0)
    cdf = np.where(factors[:, None] < 0, 1.0 - cdf, cdf)
    moved: Floats = np.diff(cdf, axis=1, prepend=0.0, append=1.0)
    return np.maximum(moved, 0.0)


def solve_step(share: float, step: float) -> float | None:
    """Return θ that tilts a cell's share by step²/2 nats a row, up or down; None if it cannot."""
    low, high = (share, 1 - 1e-9) if step > 0 else (1e-9, share)
    for _ in range(40):
        middle = (low + high) / 2
        nats = middle * log(middle / share) + (1 - middle) * log((1 - middle) / (1 - share))
        if (nats < step**2 / 2) == (step > 0):
            low = middle
        else:
            high = middle
    if not 1e-6 < low < 1 - 1e-6:
        return None
    return log(low / (1 - low)) - log(share / (1 - share))


def posterior_shares(counts: Floats, *, outside: bool) -> Floats:
    """Return each cell's share with prior events.

    If `outside`, the first and the third last cell are outside the bins, with a prior of their own.
    Otherwise more than `MOST_CELLS` cells share the prior of that many cells: groups of cells are
    watched then, and prior events of each level would dilute the shares of all.
    """
    prior = np.full(len(counts), PSEUDO)
    if outside:
        prior[[0, -3]] = OUTSIDE
    else:
        prior *= min(1.0, MOST_CELLS / len(counts))
    shares: Floats = (counts + prior) / (counts.sum() + prior.sum())
    return shares
