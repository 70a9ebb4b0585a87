"""A quantile sketch for numbers of which nothing is known beforehand.

Counts in log-linear buckets: 8 to each factor of two from 2⁻³² to 2³², for either sign, and one
for values nearer to zero. Sketches merge by adding, in any order, bit for bit. A quantile's
bucket is exact: the value given differs from the true one, of exactly that rank, by at most 1/17
of it (values beyond the range count as its end, values within 2⁻³² of zero as zero). A stated
error in the value is what makes the merge exact; sketches with an error in the rank (KLL,
t-digest) are random or depend on the order of merging.
Reference: Masson, Rim and Lee, "DDSketch" (VLDB 2019), with the linear sub-buckets of HdrHistogram.
"""

import numpy as np
from numpy.typing import NDArray

from gnomon.core.cells.layout import SKETCH_BUCKETS

RELATIVE_ERROR = 1 / 17
HALF = SKETCH_BUCKETS // 2
PER_OCTAVE = 8
LEAST_EXPONENT = -32

Counts = NDArray[np.int64]


def buckets_of(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the bucket of each value; none may be NaN."""
    sizes = np.minimum(np.abs(values), np.nextafter(2.0**32, 0))
    small = sizes < 2.0**LEAST_EXPONENT
    bits = np.where(small, 1.0, sizes).view(np.int64)
    steps = (bits >> 49) - ((1023 + LEAST_EXPONENT) << 3)
    signed = np.where(values < 0, HALF - 1 - steps, HALF + 1 + steps)
    return np.where(small, HALF, signed)


def _middles() -> NDArray[np.float64]:
    """Return the value of each bucket that is, in proportion, equally far from both its ends."""
    steps = np.arange(HALF + 1)
    ends = 2.0 ** (steps // PER_OCTAVE + LEAST_EXPONENT) * (1 + steps % PER_OCTAVE / PER_OCTAVE)
    low, high = ends[:-1], ends[1:]
    positive = low * high * (2 / (low + high))
    return np.concatenate([-positive[::-1], [0.0], positive])


MIDDLES = _middles()


def sketch(values: NDArray[np.float64]) -> Counts:
    """Count float64 values by bucket, NaN left out; return int64 of shape `(SKETCH_BUCKETS,)`.

    >>> round(quantile(sketch(np.arange(1001.0)), 0.5), 1)
    495.5
    """
    present = values[~np.isnan(values)]
    return np.bincount(buckets_of(present), minlength=SKETCH_BUCKETS).astype(np.int64)


def quantile(counts: Counts, share: float) -> float:
    """Return the value that `share` of the counted ones do not exceed; NaN for an empty sketch."""
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"share is {share}, expected 0 to 1")
    total = int(counts.sum())
    if total == 0:
        return float("nan")
    rank = min(int(share * total), total - 1)
    return float(MIDDLES[np.searchsorted(np.cumsum(counts), rank, side="right")])


def moments(counts: Counts) -> tuple[float, float]:
    """Return mean and variance of the buckets' middles, each within the sketch's error."""
    total = int(counts.sum())
    if total == 0:
        return float("nan"), float("nan")
    mean = float(counts @ MIDDLES) / total
    return mean, float(counts @ (MIDDLES - mean) ** 2) / total
