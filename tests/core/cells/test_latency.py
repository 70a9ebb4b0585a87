"""Latency buckets: contiguous, monotone, and quantiles within the stated error."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.core.cells.latency import BUCKETS, RELATIVE_ERROR, bucket_of, middle_of, quantile


@given(st.integers(0, 2**41 - 1))
def test_the_middle_of_a_bucket_is_near_all_that_falls_in_it(nanoseconds):
    assert abs(middle_of(bucket_of(nanoseconds)) - nanoseconds) <= RELATIVE_ERROR * nanoseconds


def test_buckets_are_contiguous_and_cover_everything():
    assert [bucket_of(value) for value in range(33)] == [*range(32), 32]
    middles = [middle_of(bucket) for bucket in range(BUCKETS)]
    assert middles == sorted(set(middles))
    assert [bucket_of(int(middle)) for middle in middles] == list(range(BUCKETS))
    assert bucket_of(-5) == 0
    assert bucket_of(2**41) == bucket_of(2**63 - 1) == BUCKETS - 1


@given(st.lists(st.integers(1, 2**40), min_size=1), st.floats(0, 1))
def test_a_quantile_is_within_the_error_of_the_value_of_its_rank(values, share):
    counts = np.bincount([bucket_of(value) for value in values], minlength=BUCKETS)
    exact = sorted(values)[min(int(share * len(values)), len(values) - 1)]
    assert quantile(counts, share) == pytest.approx(exact, rel=RELATIVE_ERROR)


def test_nothing_counted_has_no_quantile_and_nonsense_is_refused():
    assert quantile(np.zeros(BUCKETS, dtype=np.int64), 0.5) is None
    with pytest.raises(ValueError, match=r"share is 1\.5"):
        quantile(np.zeros(BUCKETS, dtype=np.int64), 1.5)
    with pytest.raises(ValueError, match="3 counts"):
        quantile(np.zeros(3, dtype=np.int64), 0.5)
    with pytest.raises(ValueError, match="bucket"):
        middle_of(BUCKETS)
