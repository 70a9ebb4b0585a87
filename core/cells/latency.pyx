"""Latency in log-linear buckets: quantiles within 1/32 of the true value, merged by adding."""

import numpy as np

BUCKETS = LATENCY_BUCKETS
RELATIVE_ERROR = 0.03125


def bucket_of(long long nanoseconds):
    return latency_bucket(nanoseconds)


def middle_of(bucket):
    # Untyped: Python's integers do not overflow.
    if not 0 <= bucket < LATENCY_BUCKETS:
        raise ValueError(f"bucket {bucket} of {LATENCY_BUCKETS}")
    if bucket < 16:
        return float(bucket)
    octave = bucket // 16 + 3
    width = 2.0 ** (octave - 4)
    return (16 + bucket % 16) * width + (width - 1.0) * 0.5


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
