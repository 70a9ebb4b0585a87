"""Fingerprints, reading and splits, with Hypothesis and real files."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gnomon.pipeline.datasets.dataset import Dataset, DatasetError
from gnomon.pipeline.datasets.fingerprint import fingerprint, row_hashes

cells = st.fixed_dictionaries(
    {
        "i": st.none() | st.integers(-(2**53), 2**53),
        "f": st.none() | st.floats(allow_nan=False, width=64),
        "s": st.none() | st.text(max_size=5),
        "b": st.none() | st.booleans(),
        "t": st.none() | st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1)),
    }
)
SCHEMA = pa.schema(
    {
        "i": pa.int64(),
        "f": pa.float64(),
        "s": pa.string(),
        "b": pa.bool_(),
        "t": pa.timestamp("us"),
    }
)


def of(rows):
    return Dataset(pa.Table.from_pylist(rows, schema=SCHEMA), "memory:").fingerprint


def canonical(row):
    """What counts as the same value, said the naive way."""
    return tuple(
        (name, None if value is None else float(value) if name in "if" else value)
        for name, value in sorted(row.items())
    )


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(cells, max_size=8), data=st.data())
def test_order_and_split_do_not_matter(rows, data):
    shuffled = data.draw(st.permutations(rows))
    cut = data.draw(st.integers(0, len(rows)))
    parts = [pa.Table.from_pylist(part, schema=SCHEMA) for part in (rows[:cut], rows[cut:])]
    assert of(rows) == of(shuffled)
    hashes = np.concatenate([row_hashes(part) for part in parts])
    assert fingerprint(SCHEMA.names, hashes) == of(rows)


@settings(max_examples=100, deadline=None)
@given(one=st.lists(cells, max_size=4), other=st.lists(cells, max_size=4))
def test_equal_only_for_the_same_multiset(one, other):
    same = sorted(map(repr, map(canonical, one))) == sorted(map(repr, map(canonical, other)))
    assume(not any(row["f"] == 0 for row in one + other))
    assert (of(one) == of(other)) == same


def test_a_row_twice_is_not_a_row_once():
    row = {"i": 1, "f": 2.5, "s": "a", "b": True, "t": None}
    assert len({of([]), of([row]), of([row, row]), of([row, row, row])}) == 4


def table_fingerprint(**columns):
    return Dataset(pa.table(columns), "memory:").fingerprint


def test_the_same_values_in_other_types_are_the_same():
    expected = table_fingerprint(x=pa.array([1, None, 3]), y=pa.array(["a", "b", None]))
    coded = pa.array(["a", "b", None]).dictionary_encode()
    assert table_fingerprint(y=coded, x=pa.array([1.0, np.nan, 3.0])) == expected
    assert table_fingerprint(x=pa.array([1, None, 3], pa.uint8()), y=coded) == expected
    assert table_fingerprint(z=[-0.0]) == table_fingerprint(z=[0])
    moment = datetime(2013, 1, 1, tzinfo=UTC)
    assert table_fingerprint(t=pa.array([moment], pa.timestamp("s", "UTC"))) == table_fingerprint(
        t=pa.array([moment.replace(tzinfo=None)], pa.timestamp("us"))
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"x": [1]}, {"x": ["1"]}),
        ({"x": [1]}, {"x": [True]}),
        ({"x": [1]}, {"y": [1]}),
        ({"x": [2.0**53]}, {"x": [2**53 + 1]}),
        ({"x": ["a"], "y": ["b"]}, {"x": ["b"], "y": ["a"]}),
        ({"x": ["ab"], "y": ["c"]}, {"x": ["a"], "y": ["bc"]}),
    ],
)
def test_different_values_differ(one, other):
    assert table_fingerprint(**one) != table_fingerprint(**other)


def test_formats_files_and_frames_agree(tmp_path):
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "day": pd.date_range("2013-01-01", periods=500, freq="h", tz="UTC"),
            "count": rng.integers(0, 9, 500),
            "share": np.where(rng.random(500) < 0.1, np.nan, rng.random(500)),
            "name": rng.choice(["JFK", "LGA", None], 500),
        }
    )
    expected = Dataset.from_frame(frame, "memory:")
    table = expected.table
    halves = [tmp_path / "1.parquet", tmp_path / "2.parquet"]
    pa.parquet.write_table(table.slice(300), halves[0])
    pa.parquet.write_table(table.slice(0, 300), halves[1])
    pa.csv.write_csv(table, tmp_path / "all.csv")
    read = Dataset.from_parquet(halves)
    assert read.fingerprint == expected.fingerprint
    assert read.uri == f"{halves[0].as_uri()} {halves[1].as_uri()}"
    assert Dataset.from_csv(tmp_path / "all.csv").fingerprint == expected.fingerprint
    assert Dataset.from_frame(table, "memory:").fingerprint == expected.fingerprint


def test_what_cannot_be_fingerprinted_is_refused_by_name():
    with pytest.raises(DatasetError, match="'x' is of type list"):
        table_fingerprint(x=[[1, 2]])
    with pytest.raises(DatasetError, match="must differ"):
        row_hashes(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]))


def test_unreadable_files_are_refused_by_name(tmp_path):
    with pytest.raises(DatasetError, match=r"nothing\.parquet"):
        Dataset.from_parquet(tmp_path / "nothing.parquet")
    with pytest.raises(DatasetError, match="at least one file"):
        Dataset.from_csv([])


@pytest.fixture
def hourly():
    times = [datetime(2013, 1, 1, tzinfo=UTC) + timedelta(hours=hour) for hour in range(48)]
    return Dataset(pa.table({"at": times, "x": list(range(48)), "s": ["a", None] * 24}), "m:")


def test_split_by_time(hourly):
    split = hourly.split_by_time("at", datetime(2013, 1, 2))
    assert split.train.table.column("x").to_pylist() == list(range(24))
    assert split.test.table.column("x").to_pylist() == list(range(24, 48))
    assert split.recipe["train_fingerprint"] == Dataset(split.train.table, "").fingerprint
    assert split.recipe["test_fingerprint"] == Dataset(split.test.table, "").fingerprint
    assert split.recipe["boundary"] == "2013-01-02T00:00:00+00:00"


@pytest.mark.parametrize(
    ("column", "boundary", "message"),
    [
        ("when", datetime(2013, 1, 2), "no column 'when'"),
        ("x", datetime(2013, 1, 2), "needs timestamps"),
        ("at", datetime(2014, 1, 1), "one side"),
        ("at", datetime(2013, 1, 1), "one side"),
    ],
)
def test_impossible_splits_are_refused(hourly, column, boundary, message):
    with pytest.raises(DatasetError, match=message):
        hourly.split_by_time(column, boundary)


def test_columns_are_what_contracts_take(hourly):
    columns = hourly.columns(["x", "s"])
    assert columns["x"].dtype == np.int64
    assert columns["s"].dtype == object
    assert columns["s"][:2].tolist() == ["a", None]
