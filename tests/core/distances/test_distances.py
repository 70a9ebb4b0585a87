"""Every distance equals SciPy's on the same binned data."""

import math

import numpy as np
import pytest
import scipy.spatial.distance
import scipy.special
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from gnomon.core import distances
from gnomon.core.distances.chi_square import upper_tail
from gnomon.core.reference import FieldReference

tables = st.integers(1, 40).flatmap(
    lambda cells: st.tuples(
        *[
            st.lists(st.integers(0, 10_000), min_size=cells, max_size=cells).filter(any)
            for _ in range(2)
        ]
    )
)


@pytest.mark.slow
@given(tables)
def test_psi_is_the_symmetric_relative_entropy(pair):
    p, q = (np.array(table) + 0.5 for table in pair)
    p, q = p / p.sum(), q / q.sum()
    expected = scipy.special.rel_entr(p, q).sum() + scipy.special.rel_entr(q, p).sum()
    assert distances.psi(*pair) == pytest.approx(expected, abs=1e-12)


@given(tables)
def test_jensen_shannon(pair):
    expected = scipy.spatial.distance.jensenshannon(*pair, base=2)
    # SciPy takes the root of a rounding error where the tables are equal.
    assert distances.jensen_shannon(*pair) ** 2 == pytest.approx(expected**2, abs=1e-12)


@given(tables)
def test_kolmogorov_smirnov(pair):
    small = [[count % 50 for count in table] for table in pair]
    if not all(map(any, small)):
        return
    samples = [np.repeat(np.arange(len(table)), table) for table in small]
    expected = scipy.stats.ks_2samp(*samples, method="asymp").statistic
    assert distances.kolmogorov_smirnov(*small) == pytest.approx(expected, abs=1e-12)


@given(tables, st.integers(0, 2**32))
def test_wasserstein(pair, seed):
    places = np.sort(np.random.default_rng(seed).normal(size=len(pair[0])))
    expected = scipy.stats.wasserstein_distance(places, places, *pair)
    assert distances.wasserstein(*pair, places) == pytest.approx(expected, abs=1e-12)


@given(tables)
def test_chi_square(pair):
    used = np.array(pair)[:, np.sum(pair, axis=0) > 0]
    expected = scipy.stats.chi2_contingency(used, correction=False)
    tested = distances.chi_square(*pair)
    assert tested.degrees == expected.dof
    assert tested.statistic == pytest.approx(expected.statistic, rel=1e-9, abs=1e-9)
    assert tested.p_value == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-12)


@given(st.integers(1, 300), st.floats(0, 2000))
def test_upper_tail(degrees, statistic):
    expected = scipy.stats.chi2.sf(statistic, degrees)
    assert upper_tail(statistic, degrees) == pytest.approx(expected, rel=1e-8, abs=1e-13)


@given(tables)
def test_total_variation(pair):
    p, q = (np.array(table) / sum(table) for table in pair)
    expected = scipy.spatial.distance.cityblock(p, q) / 2
    assert distances.total_variation(*pair) == pytest.approx(expected, abs=1e-12)


def test_measure_names_every_distance_that_fits_the_kind():
    number = FieldReference(
        "x", "numeric", edges=(0.0, 1.0, 3.0), counts=(1, 4, 5, 0, 2, 0), variance=4.0
    )
    found = distances.measure(number, (1, 5, 4, 0, 2, 0))
    assert distances.positions(number) == [0.0, 0.5, 2.0, 3.0]
    assert found["wasserstein"] == pytest.approx(0.1 * 1.5 / 2.0)
    assert found["kolmogorov_smirnov"] == pytest.approx(0.1)
    category = FieldReference("c", "category", categories=("a",), counts=(4, 0, 0, 0))
    assert "wasserstein" not in distances.measure(category, (1, 3, 0, 0))


def test_an_empty_window_has_no_distance():
    number = FieldReference("x", "numeric", edges=(0.0, 1.0), counts=(0, 4, 0, 0, 0))
    found = distances.measure(number, (0, 0, 0, 0, 0))
    assert all(math.isnan(value) for value in found.values())


def test_what_does_not_fit_is_refused():
    number = FieldReference("x", "numeric", edges=(0.0, 1.0), counts=(0, 4, 0, 0, 0))
    with pytest.raises(ValueError, match="'x' has 5 cells"):
        distances.measure(number, (1, 2))
    with pytest.raises(ValueError, match="no common cells"):
        distances.psi([1, 2], [1, 2, 3])
    with pytest.raises(ValueError, match="0 or more"):
        distances.psi([1, -2], [1, 2])
    with pytest.raises(ValueError, match="positions"):
        distances.wasserstein([1, 2], [1, 2], [1.0, 0.0])
