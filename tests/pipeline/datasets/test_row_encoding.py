"""Different values are other rows, and equal ones the same, across types, units and scales."""

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.pipeline.datasets.fingerprint import row_hashes

decimals = st.builds(
    lambda digits, scale: Decimal(digits).scaleb(-scale),
    st.one_of(
        st.integers(-(10**30), 10**30),
        st.integers(-20, 20),
        st.integers(-3, 3).map(lambda step: 2**63 + step),
        st.integers(-3, 3).map(lambda step: 2**64 + step),
    ),
    st.integers(0, 6),
)


def hashes(values, kind):
    return [one.tobytes() for one in row_hashes(pa.table({"x": pa.array(values, kind)}))]


@settings(max_examples=200, deadline=None)
@given(values=st.lists(decimals, min_size=2, max_size=8), scale=st.integers(6, 30))
def test_decimals_are_the_same_rows_exactly_if_they_are_equal(values, scale):
    found = hashes(values, pa.decimal256(76, scale))
    again = hashes(values, pa.decimal256(70, 6))
    assert found == again
    for one, first in zip(values, found, strict=True):
        for other, second in zip(values, found, strict=True):
            assert (first == second) == (one == other)


@settings(max_examples=200, deadline=None)
@given(
    number=st.one_of(
        st.integers(0, 2**64 - 1), st.integers(-5, 5).map(lambda step: 2**63 + step), st.just(5)
    )
)
def test_whole_numbers_are_the_same_in_every_type_that_holds_them(number):
    expected = hashes([number], pa.uint64())
    assert hashes([Decimal(number)], pa.decimal128(38, 2)) == expected
    if number < 2**63:
        assert hashes([number], pa.int64()) == expected
    is_same = hashes([float(number)], pa.float64()) == expected
    assert is_same == (Fraction(float(number)) == number)
    other = number + 1 if number < 2**64 - 1 else number - 1
    assert hashes([other], pa.uint64()) != expected


@settings(max_examples=100, deadline=None)
@given(st.integers(-(10**15) + 1, 10**15 - 1), st.integers(0, 15))
def test_a_decimal_of_few_digits_is_the_float_that_its_text_means(digits, scale):
    number = Decimal(digits).scaleb(-scale)
    expected = hashes([float(number)], pa.float64())
    assert hashes([number], pa.decimal128(15 + scale, scale)) == expected
    assert hashes([number, Decimal(1)], pa.decimal128(38, 16))[:1] == expected


moments = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59))


@settings(max_examples=150, deadline=None)
@given(one=moments, other=moments)
def test_instants_of_any_year_are_the_same_in_every_unit(one, other):
    one, other = one.replace(microsecond=0), other.replace(microsecond=0)
    first = hashes([one], pa.timestamp("s"))
    for unit in ("ms", "us"):
        assert hashes([one], pa.timestamp(unit, "UTC")) == first
    assert (hashes([other], pa.timestamp("us")) == first) == (one == other)
    if 1678 < one.year < 2262:
        assert hashes([one], pa.timestamp("ns")) == first


def test_dates_times_and_durations_are_taken_and_differ():
    end = date(9999, 12, 31)
    assert hashes([end], pa.date32()) == hashes([datetime(9999, 12, 31)], pa.timestamp("us"))
    assert hashes([end], pa.date64()) == hashes([end], pa.date32())
    noon = time(12)
    assert hashes([noon], pa.time32("s")) == hashes([noon], pa.time64("ns"))
    hour = timedelta(hours=12)
    assert hashes([hour], pa.duration("s")) == hashes([hour], pa.duration("ns"))
    nanoseconds = 12 * 3600 * 10**9
    alike = [
        *hashes([noon], pa.time32("s")),
        *hashes([hour], pa.duration("s")),
        *hashes([datetime(1970, 1, 1, 12)], pa.timestamp("s")),
        *hashes([nanoseconds], pa.int64()),
        *hashes([None], pa.time32("s")),
        *hashes(["12:00:00"], pa.string()),
        *hashes([b"12:00:00"], pa.binary()),
    ]
    assert len(set(alike)) == len(alike)
    # The same count in other units is another time.
    far = [hashes([2**62], kind)[0] for kind in map(pa.timestamp, ("s", "ms", "us", "ns"))]
    assert len(set(far)) == 4


@pytest.mark.parametrize("kind", [pa.uint64(), pa.decimal128(38, 3)])
def test_wide_and_narrow_numbers_stand_side_by_side(kind):
    values = [1, None, 2**64 - 1, 7, 2**63 + 1]
    table = pa.table(
        {"a": pa.array(values, kind), "b": pa.array(values[::-1], kind), "c": list("abcde")}
    )
    whole = row_hashes(table)
    for row in range(5):
        assert row_hashes(table.slice(row, 1))[0] == whole[row]
    assert len(np.unique(whole)) == 5
