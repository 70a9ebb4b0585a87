"""The sketch: the stated error, exact merges, and the window's loops in agreement."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.core.cells import sketch
from gnomon.core.cells.side_counter import bucket_of

values = st.one_of(
    st.floats(allow_nan=False),
    st.floats(-1e3, 1e3),
    st.sampled_from([0.0, -0.0, 2.0**-32, -(2.0**-32), 2.0**32, 1.0, -1.0]),
)
in_range = st.floats(2.0**-32, 2.0**31).flatmap(lambda size: st.sampled_from([size, -size, 0.0]))


@given(values)
def test_the_compiled_bucket_is_the_same(value):
    assert sketch.buckets_of(np.array([value]))[0] == bucket_of(value)


@given(st.lists(in_range, min_size=1), st.floats(0, 1))
def test_a_quantile_is_within_the_error_of_the_value_of_its_rank(sample, share):
    counts = sketch.sketch(np.array(sample))
    exact = sorted(sample)[min(int(share * len(sample)), len(sample) - 1)]
    assert sketch.quantile(counts, share) == pytest.approx(
        exact, rel=sketch.RELATIVE_ERROR * (1 + 1e-9)
    )


@given(st.lists(values), st.lists(values))
def test_sketches_merge_by_adding(one, two):
    whole = sketch.sketch(np.array(one + two, dtype=np.float64))
    parts = [sketch.sketch(np.array(part, dtype=np.float64)) for part in (one, two)]
    assert (parts[0] + parts[1] == whole).all()


def test_empty_and_nonsense():
    empty = sketch.sketch(np.array([math.nan]))
    assert empty.sum() == 0
    assert math.isnan(sketch.quantile(empty, 0.5))
    assert all(math.isnan(number) for number in sketch.moments(empty))
    with pytest.raises(ValueError, match=r"share is -0\.1"):
        sketch.quantile(empty, -0.1)


def test_moments_are_within_the_error():
    sample = np.random.default_rng(0).normal(10, 2, 10_000)
    mean, variance = sketch.moments(sketch.sketch(sample))
    assert mean == pytest.approx(10, rel=sketch.RELATIVE_ERROR)
    assert variance == pytest.approx(4, rel=0.2)
