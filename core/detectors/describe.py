"""Say in words and numbers what a winning tilt has seen."""

import numpy as np

from gnomon.core.detectors.alarm import Change
from gnomon.core.detectors.tilts import Floats, Library, normal_cuts, normal_shares
from gnomon.core.detectors.unit_fit import UnitChange
from gnomon.core.reference import FieldReference

_GRID = 161  # points of the search for a size; the answer is interpolated


def describe(
    reference: FieldReference, library: Library, winner: int, score: float
) -> tuple[float, str, str]:
    """Return distance, unit and one sentence for tilt `winner`.

    Args:
        reference: the field's reference.
        library: the field's tilts.
        winner: index of the tilt, no change of unit (`describe_unit`).
        score: since the change, the mean score of a row, or the share of rows in the tilt's group.
    """
    tilt = library.tilts[winner]
    name = reference.name
    if tilt.kind is Change.LOCATION:
        size = _size(reference, library, winner, score, location=True)
        return size, "σ", f"{name} has moved by about {size:+.2f} σ of its normal scores"
    if tilt.kind is Change.SCALE:
        size = _size(reference, library, winner, score, location=False)
        return size, "×", f"{name} spreads about {size:.2f} times as wide as in the reference"
    return _share(name, library, winner, score)


def describe_unit(name: str, change: UnitChange) -> tuple[float, str, str]:
    """Return factor, unit and one sentence for a change of unit."""
    return change.factor, "×", f"{name} looks as if its unit had changed: {change.label}"


def _share(name: str, library: Library, winner: int, now: float) -> tuple[float, str, str]:
    tilt = library.tilts[winner]
    cells = library.cell_group == library.group[winner]
    before = float(library.shares[cells].sum())
    what = f"{name} in {tilt.label}" if tilt.kind is Change.CELL else f"{name}, {tilt.label}"
    text = f"{what}: {now:.2%} of rows, {before:.2%} in the reference"
    return now - before, "share", text


def _size(
    reference: FieldReference, library: Library, winner: int, score: float, *, location: bool
) -> float:
    """Return the shift or the spread at which the tilt's mean score is the one observed."""
    last = reference.bins + 2
    valid = float(library.shares[:last].sum())
    cuts = normal_cuts(library.shares[:last] / valid)
    grid = np.linspace(-4, 4, _GRID) if location else np.exp(np.linspace(-1.5, 1.5, _GRID))
    theta = library.dense[winner, :last]
    means: Floats = np.array(
        [
            valid * float(theta @ normal_shares(cuts, *((size, 1.0) if location else (0.0, size))))
            for size in grid
        ]
    )
    order = np.argsort(means, kind="stable")
    return float(np.interp(score, means[order], grid[order]))
