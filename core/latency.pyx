"""Latency in log-linear buckets: quantiles within 1/32 of the true value, merged by adding."""

import numpy as np

BUCKETS = LATENCY_BUCKETS
RELATIVE_ERROR = 1 / 32


def bucket_of(long long nanoseconds):
    return latency_bucket(nanoseconds)


def middle_of(int bucket):
    """Give the middle of a bucket in nanoseconds, within 1/32 of all that fell in it."""
    cdef int octave
    if not 0 <= bucket < LATENCY_BUCKETS:
        raise ValueError(f"bucket {bucket} of {LATENCY_BUCKETS}")
    if bucket < 16:
        return float(bucket)
    octave = bucket // 16 + 3
    low = (16 + bucket % 16) << (octave - 4)
    return low + ((1 << (octave - 4)) - 1) / 2


def quantile(counts, double share):
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"share is {share}, expected 0 to 1")
    if len(counts) != LATENCY_BUCKETS:
        raise ValueError(f"{len(counts)} counts, expected {LATENCY_BUCKETS}")
    total = int(np.sum(counts))
    if total == 0:
        return None
    rank = min(int(share * total), total - 1)
    return middle_of(int(np.searchsorted(np.cumsum(counts), rank, side="right")))
