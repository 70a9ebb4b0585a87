"""Distances between two tables of cell counts, for people; detectors decide on alarms."""

from collections.abc import Sequence
from math import sqrt

import numpy as np

from gnomon.core.distances.chi_square import ChiSquare, chi_square
from gnomon.core.distances.jensen_shannon import jensen_shannon
from gnomon.core.distances.kolmogorov_smirnov import kolmogorov_smirnov
from gnomon.core.distances.psi import psi
from gnomon.core.distances.shares import Counts
from gnomon.core.distances.total_variation import total_variation
from gnomon.core.distances.wasserstein import wasserstein
from gnomon.core.reference import FieldReference

__all__ = [
    "ChiSquare",
    "chi_square",
    "jensen_shannon",
    "kolmogorov_smirnov",
    "measure",
    "positions",
    "psi",
    "total_variation",
    "wasserstein",
]


def positions(field: FieldReference) -> list[float]:
    """Return a value for each cell of a numeric field's present values: the middle of its bin.

    What is below or above the reference is put at its nearest edge.
    """
    middles = [low / 2 + high / 2 for low, high in zip(field.edges, field.edges[1:], strict=False)]
    return [field.edges[0], *middles, field.edges[-1]]


def measure(field: FieldReference, cells: Sequence[int] | Counts) -> dict[str, float]:
    """Measure a window's cells against their reference in every way that fits its kind.

    All cells count, missing and invalid too; the two distances that need an order take the
    present values. `wasserstein` is in standard deviations of the reference. NaN if one of the
    two has no rows. Raises `ValueError` for another number of cells.

    >>> field = FieldReference("age", "numeric", edges=(0.0, 1.0, 2.0), counts=(0, 5, 5, 0, 0, 0),
    ...                        variance=1.0)
    >>> measure(field, (0, 5, 5, 0, 0, 0))["kolmogorov_smirnov"]
    0.0
    """
    actual = np.asarray(cells, dtype=np.int64)
    expected = np.asarray(field.counts, dtype=np.int64)
    if actual.shape != expected.shape:
        raise ValueError(
            f"field {field.name!r} has {len(expected)} cells, got an array of shape {actual.shape}"
        )
    tested = chi_square(expected, actual)
    result = {
        "psi": psi(expected, actual),
        "jensen_shannon": jensen_shannon(expected, actual),
        "total_variation": total_variation(expected, actual),
        "chi_square": tested.statistic,
        "chi_square_p_value": tested.p_value,
    }
    if field.edges:
        ordered = field.bins + 2
        here, there = expected[:ordered], actual[:ordered]
        distance = wasserstein(here, there, positions(field))
        result["kolmogorov_smirnov"] = kolmogorov_smirnov(here, there)
        result["wasserstein"] = distance / (sqrt(field.variance) or 1.0)
    return result
