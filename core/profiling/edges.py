"""The edges that cut a numeric field into bins of about equal mass, with ties.

Cuts are placed midway between two neighbouring values that occurred, so that no value is on a cut
by a rounding error. A value that alone holds a bin's share gets a bin of its own. A field of few
values gets one bin a value.
"""

import math

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


def choose_edges(values: Values, bins: int) -> tuple[float, ...]:
    """Return the edges for finite `values`; none if there are no values.

    >>> choose_edges(np.array([1.0, 1.0, 2.0, 3.0]), 32)
    (1.0, 1.5, 2.5, 3.0)
    """
    if len(values) == 0:
        return ()
    distinct, counts = np.unique(values + 0.0, return_counts=True)
    if len(distinct) == 1:
        only = float(distinct[0])
        return (only, math.nextafter(only, math.inf))
    groups = np.arange(len(distinct)) if len(distinct) <= bins else _groups(counts, bins)
    starts = np.flatnonzero(np.diff(groups)) + 1
    cuts = _between(distinct[starts - 1], distinct[starts])
    last = distinct[-1]
    if len(cuts) and cuts[-1] == last:
        last = np.nextafter(last, np.inf)
    return (float(distinct[0]), *(float(cut) for cut in cuts), float(last))


def _groups(counts: NDArray[np.int64], bins: int) -> NDArray[np.int64]:
    """Number the bin of each distinct value; heavy values stand alone."""
    heavy = counts * bins >= counts.sum()
    # A heavy value splits the bin around it, so each one costs two of the bins.
    shared = max(bins - 2 * int(heavy.sum()), 1)
    light = np.where(heavy, 0, counts)
    middles = np.cumsum(light) - light / 2
    numbers = np.minimum((middles * shared / max(int(light.sum()), 1)).astype(np.int64), shared - 1)
    changes = np.diff(numbers) != 0
    changes |= heavy[1:] | heavy[:-1]
    return np.concatenate([[0], np.cumsum(changes)])


def _between(low: Values, high: Values) -> Values:
    """Return low < cut <= high for each pair."""
    middle = low / 2 + high / 2
    return np.where((middle > low) & (middle <= high), middle, high)


def median_and_tie(values: Values, unit: int) -> tuple[float, float]:
    """Return the lower median, and the sign, in 1/`unit`, that values equal to it are given.

    With that sign the mean sign around the median is 0: 1 above it, −1 below it.

    >>> median_and_tie(np.array([0.0, 0.0, 0.0, 1.0]), 16)
    (0.0, -0.3125)
    """
    if len(values) == 0:
        return 0.0, 0.0
    middle = float(np.partition(values, (len(values) - 1) // 2)[(len(values) - 1) // 2])
    below, above = int((values < middle).sum()), int((values > middle).sum())
    balance = (below - above) / (len(values) - below - above)
    return middle, round(balance * unit) / unit
