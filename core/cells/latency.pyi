"""Latency in log-linear buckets: quantiles within 1/32 of the true value, merged by adding."""

import numpy as np
from numpy.typing import NDArray

BUCKETS: int
"""Number of buckets, up to 2⁴¹ ns (37 minutes); what is longer falls in the last one."""
RELATIVE_ERROR: float
"""How far, in proportion, a quantile may be from the true one."""

def bucket_of(nanoseconds: int) -> int:
    """Return the bucket of a latency; what is negative counts as 0."""

def middle_of(bucket: int) -> float:
    """Return the middle of a bucket in nanoseconds, within 1/32 of all that fell in it."""

def quantile(counts: NDArray[np.int64], share: float) -> float | None:
    """Return the latency, in nanoseconds, that `share` of the calls did not exceed.

    None if nothing was counted. Raises `ValueError` for a share outside 0 to 1.
    """
