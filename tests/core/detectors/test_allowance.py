"""An allowance of missing values is exceeded by more than chance, in windows of any size."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from gnomon.core.detectors.allowance import exceeds_allowance


@given(st.integers(1, 3_000), st.floats(0.001, 0.9), st.floats(1e-9, 0.5), st.floats(0.0, 1.0))
def test_chance_alone_is_seldom_enough(rows, allowance, level, part):
    missing = round(part * rows)
    if exceeds_allowance(missing, rows, allowance, level):
        assert missing > allowance * rows
        assert binom.sf(missing - 1, rows, allowance) <= level * (1 + 1e-6)


@given(st.integers(0, 500), st.integers(0, 500), st.floats(0.0, 1.0))
def test_more_missing_never_looks_better(missing, present, allowance):
    found = [
        exceeds_allowance(one, missing + present + 1, allowance, 1e-3)
        for one in range(missing + present + 2)
    ]
    assert found == sorted(found)


def test_power_and_bounds():
    assert not exceeds_allowance(0, 0, 0.0, 1e-4)
    assert exceeds_allowance(1, 10_000, 0.0, 1e-4)
    assert not exceeds_allowance(5, 5, 1.0, 1e-4)
    assert not exceeds_allowance(2, 2, 0.1, 1e-4)  # two rows are too few
    assert exceeds_allowance(5, 5, 0.1, 1e-4)
    assert exceeds_allowance(60, 1_000, 0.03, 1e-4)
    with pytest.raises(ValueError, match="expected 0 <= missing <= rows"):
        exceeds_allowance(3, 2, 0.1, 1e-4)
