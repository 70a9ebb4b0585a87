"""Has the whole distribution been multiplied, as a change of unit would do, or has it just moved?

A season moves a field's location, or its spread; a change of unit moves both together, and by a
factor that is known. So of the alarm's own window, with counts c over the cells of present values
and the shares p before, the log-likelihood `ℓ(a, b) = Σ c log p(a·x + b)` is taken for the
plausible units, for every pure shift and every change of spread up to `REACH` σ, and for every
affine map. A unit is named only if it

* agrees with the window's own moments (`gnomon.core.detectors.moments`),
* leads every pure shift and spread by `LEAD` nats, by `LEAD_LARGE` if the field's unit is not
  known or more than `CROWDED` of the rows would be in one cell,
* is of the field's own quantity or, if its unit is not known, not so crowded: values that are
  all far away could come from any unit, or from none,
* and gains at least `FIT` of what the best affine map gains over no change.

Names of units that explain the window within `EQUAL` nats of each other are given together; if
there are more than `MOST_NAMES` of them, nothing is known but that the values are far away.

Reference: the likelihood ratio of nested and of separate families; Cox, "Tests of separate
families of hypotheses" (1961).
"""

from dataclasses import dataclass

import numpy as np

from gnomon.core.detectors.alarm import ChangeKind
from gnomon.core.detectors.moments import MomentCheck
from gnomon.core.detectors.tilts import Floats, moved_shares
from gnomon.core.detectors.units import slips
from gnomon.core.reference import FieldReference

LEAD, LEAD_LARGE = 5.0, 12.0
FIT = 0.9
CROWDED = 0.5
EQUAL = 3.0
MOST_NAMES = 3
REACH = 5.0  # σ; farther than any season
_UNCHANGED = 0.005  # share of rows that stay where they were, so that a single row cannot decide
_SHIFTS = np.linspace(-REACH, REACH, 101)
_SPREADS = np.exp(np.linspace(-2.5, 2.5, 51))  # 1 is the middle one
_LIKE_A_UNIT = (ChangeKind.LOCATION, ChangeKind.SCALE, ChangeKind.BELOW, ChangeKind.ABOVE)
_FEWEST = 8  # least rows of a window that are judged


@dataclass(frozen=True, slots=True)
class UnitChange:
    """The units that explain a window: names joined by "or", and the factor of the best."""

    label: str
    factor: float


def fit_unit(
    reference: FieldReference,
    kind: ChangeKind,
    before: Floats,
    counts: Floats,
    check: MomentCheck,
) -> UnitChange | None:
    """Return the change of unit that a window has seen; None if something simpler explains it.

    Args:
        reference: the field's reference; lends its edges and its unit.
        kind: what explains the evidence so far. If the field's unit is not known, only
            `ChangeKind.UNIT` is examined.
        before: counts or shares of all cells without the change, float64 of shape (cells,).
        counts: the window's counts, float64 of shape (cells,).
        check: the moments before the change and of the window.
    """
    last = reference.bins + 2
    seen, candidates = counts[:last], slips(reference.unit)
    asked = kind is ChangeKind.UNIT or (bool(reference.unit) and kind in _LIKE_A_UNIT)
    if not asked or reference.kind == "category" or reference.bins < 2 or seen.sum() < _FEWEST:
        return None
    edges, known = np.asarray(reference.edges), before[:last] / before[:last].sum()
    factors = np.array([slip.factor for slip in candidates])
    offsets = np.array([slip.offset for slip in candidates])
    moved = moved_shares(edges, known, factors, offsets)
    likely = _likelihoods(moved, known, seen)
    allowed = [check.allows_map(slip.factor, slip.offset) for slip in candidates]
    likely[np.logical_not(allowed)] = -np.inf
    crowded = moved.max(axis=1) > CROWDED
    if not reference.unit:
        likely[crowded] = -np.inf
    shifts, spreads, affine = _alternatives(edges, known, seen)
    top = float(likely.max())
    lead = LEAD if reference.unit and not crowded[likely.argmax()] else LEAD_LARGE
    unchanged = float(seen @ np.log(known))
    if top - max(shifts, spreads) < lead or top - unchanged < FIT * (affine - unchanged):
        return None
    equal = [index for index in np.argsort(-likely) if likely[index] >= top - EQUAL]
    if len(equal) > MOST_NAMES:
        return None
    label = " or ".join(candidates[index].label for index in equal)
    return UnitChange(label, candidates[equal[0]].factor)


def _alternatives(edges: Floats, known: Floats, seen: Floats) -> tuple[float, float, float]:
    """Return the best log-likelihood of a shift, of a spread about the median, of both."""
    below = np.cumsum(known)[:-1]
    low, middle, high = np.interp([0.16, 0.5, 0.84], below, edges)
    deviation = max(float(high - low) / 2, 1e-12 * float(edges[-1] - edges[0]))
    factor, shift = (one.ravel() for one in np.meshgrid(_SPREADS, _SHIFTS, indexing="ij"))
    offset = middle * (1 - factor) + deviation * shift
    found = _likelihoods(moved_shares(edges, known, factor, offset), known, seen)
    both = found.reshape(len(_SPREADS), len(_SHIFTS))
    return (
        float(both[len(_SPREADS) // 2].max()),
        float(both[:, len(_SHIFTS) // 2].max()),
        float(both.max()),
    )


def _likelihoods(moved: Floats, known: Floats, seen: Floats) -> Floats:
    found: Floats = np.log((1 - _UNCHANGED) * moved + _UNCHANGED * known) @ seen
    return found
