"""Say in words and numbers what a winning tilt has seen."""

import numpy as np

from gnomon.core.detectors.alarm import ChangeKind
from gnomon.core.detectors.tilts import Floats, TiltSet, normal_cuts, normal_shares
from gnomon.core.detectors.unit_fit import UnitChange
from gnomon.core.reference import FieldReference

_GRID = 161  # points of the search for a size; the answer is interpolated


def describe(
    reference: FieldReference, tilt_set: TiltSet, winner: int, score: float
) -> tuple[float, str, str]:
    """Return distance, unit and one sentence for tilt `winner`.

    Args:
        reference: the field's reference.
        tilt_set: the field's tilts.
        winner: index of the tilt, no change of unit (`describe_unit`).
        score: since the change, the mean score of a row, or the share of rows in the tilt's group.
    """
    tilt = tilt_set.tilts[winner]
    name = reference.name
    if tilt.kind is ChangeKind.LOCATION:
        size = _size(reference, tilt_set, winner, score, location=True)
        return size, "σ", f"{name} has moved by about {size:+.2f} σ of its normal scores"
    if tilt.kind is ChangeKind.SCALE:
        size = _size(reference, tilt_set, winner, score, location=False)
        return size, "×", f"{name} spreads about {size:.2f} times as wide as in the reference"
    return _share(name, tilt_set, winner, score)


def describe_unit(name: str, change: UnitChange) -> tuple[float, str, str]:
    """Return factor, unit and one sentence for a change of unit."""
    return change.factor, "×", f"{name} looks as if its unit had changed: {change.label}"


def _share(name: str, tilt_set: TiltSet, winner: int, now: float) -> tuple[float, str, str]:
    tilt = tilt_set.tilts[winner]
    cells = tilt_set.cell_group == tilt_set.group[winner]
    before = float(tilt_set.shares[cells].sum())
    what = f"{name} in {tilt.label}" if tilt.kind is ChangeKind.CELL else f"{name}, {tilt.label}"
    text = f"{what}: {now:.2%} of rows, {before:.2%} in the reference"
    return now - before, "share", text


def _size(
    reference: FieldReference, tilt_set: TiltSet, winner: int, score: float, *, location: bool
) -> float:
    """Return the shift or the spread at which the tilt's mean score is the one observed."""
    last = reference.bins + 2
    valid = float(tilt_set.shares[:last].sum())
    cuts = normal_cuts(tilt_set.shares[:last] / valid)
    grid = np.linspace(-4, 4, _GRID) if location else np.exp(np.linspace(-1.5, 1.5, _GRID))
    theta = tilt_set.dense[winner, :last]
    means: Floats = np.array(
        [
            valid * float(theta @ normal_shares(cuts, *((size, 1.0) if location else (0.0, size))))
            for size in grid
        ]
    )
    order = np.argsort(means, kind="stable")
    return float(np.interp(score, means[order], grid[order]))
