"""Cells hold what they say, and histograms merge exactly."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gnomon.bench.generator.arrivals import Arrivals, due_times
from gnomon.bench.generator.histogram import RELATIVE_ERROR, Histogram
from gnomon.bench.generator.loops import CELLS, cell_of

NANOSECONDS = st.integers(0, (1 << 41) - 1)


def of(values: list[int]) -> Histogram:
    counts = np.bincount([cell_of(one) for one in values], minlength=CELLS).astype(np.uint64)
    return Histogram(counts)


@given(NANOSECONDS)
def test_the_middle_of_a_cell_is_near_each_value_of_it(value: int) -> None:
    middle = of([value]).percentile(50)
    assert abs(middle - value) <= RELATIVE_ERROR * value


@given(NANOSECONDS, NANOSECONDS)
def test_cells_keep_the_order_of_values(one: int, other: int) -> None:
    low, high = sorted((one, other))
    assert cell_of(low) <= cell_of(high)


def test_what_is_too_long_counts_in_the_last_cell() -> None:
    assert cell_of(1 << 41) == cell_of((1 << 64) - 1) == cell_of((1 << 41) - 1) == CELLS - 1


@given(st.lists(NANOSECONDS, min_size=1, max_size=50), st.floats(0.1, 99.9))
def test_a_percentile_is_the_smallest_value_that_so_large_a_share_does_not_exceed(
    values: list[int], percent: float
) -> None:
    rank = max(1, math.ceil(round(percent / 100 * len(values), 9)))
    exact = sorted(values)[rank - 1]
    assert abs(of(values).percentile(percent) - exact) <= RELATIVE_ERROR * exact


@given(st.lists(NANOSECONDS), st.lists(NANOSECONDS))
def test_merged_histograms_are_that_of_all_values(one: list[int], other: list[int]) -> None:
    assert np.array_equal((of(one) + of(other)).counts, of(one + other).counts)


def test_a_histogram_of_nothing_has_no_percentile() -> None:
    empty = Histogram.empty()
    assert empty.total == 0
    assert all(math.isnan(one) for one in (empty.percentile(99), empty.mean, empty.maximum))


def test_due_times_follow_their_pattern() -> None:
    rng = np.random.default_rng(1)
    constant = due_times(Arrivals.CONSTANT, 1_000, 2, rng)
    assert np.array_equal(constant, np.arange(2_000, dtype=np.uint64) * 1_000_000)
    for arrivals, burstiness in ((Arrivals.POISSON, 1.0), (Arrivals.GAMMA, 4.0)):
        gaps = np.diff(due_times(arrivals, 1_000, 100, rng, burstiness).astype(float))
        assert gaps.min() >= 0
        # 100,000 gaps: six standard errors of the mean, and of the variation.
        assert abs(gaps.mean() / 1e6 - 1) < 6 * math.sqrt(burstiness / len(gaps))
        assert abs((gaps.std() / gaps.mean()) ** 2 / burstiness - 1) < 0.15
