"""Fingerprints that were given out stay as they are, however many rows there are."""

from datetime import datetime

import numpy as np
import pyarrow as pa
import pytest

from gnomon.pipeline.datasets.dataset import Dataset
from gnomon.pipeline.datasets.fingerprint import DatasetError, RowCollector, fingerprint, row_hashes


def every_kind():
    instants = [datetime(1970, 1, 1), datetime(2026, 11, 25, 1, 2, 3, 4), None]
    return pa.table(
        {
            "i": pa.array([0, 1, None, -5, 2**53], pa.int64()),
            "f": pa.array([0.5, -0.0, None, float("inf"), 1e300]),
            "w": pa.array([1.0, 2.0, float("nan"), -3.0, 2.0**63]),
            "s": pa.array(["", "a", None, "ü€", "x" * 200]),
            "b": pa.array([True, False, None, True, False]),
            "t": pa.array([*instants, datetime(1700, 1, 1), datetime(2200, 1, 1)], "timestamp[us]"),
            "n": pa.nulls(5),
            "u": pa.array([0, 255, 3, None, 7], pa.uint8()),
            "d": pa.array(["k", "l", "k", None, "k"]).dictionary_encode(),
        }
    )


def many_rows(count=200_003):
    rng = np.random.default_rng(0)
    columns = {
        "a": rng.integers(0, 1000, count),
        "x": np.round(rng.normal(size=count), 3),
        "c": [f"c{value}" for value in rng.integers(0, 5000, count)],
    }
    return pa.table(columns | {"m": pa.array(rng.normal(size=count), mask=rng.random(count) < 0.1)})


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (every_kind, "5cb82c80b4792f2103965f27fd104b1fe348b13817f4d25fa5d2d4d47942cad5"),
        (many_rows, "b2580e284a7007eef5daf33440bc2d789b03bae36c90440b4b944f8dfe604b9b"),
        (
            lambda: pa.table({"a": pa.array([], pa.int64())}),
            "49a1af1b982d48d444434b4fdd5a935bad437b5e211cfd8c9f18b975e2cc1e31",
        ),
    ],
)
def test_fingerprints_of_the_first_release_are_still_the_same(table, expected):
    assert Dataset(table(), "").fingerprint == f"rows-1:{expected}"


def test_a_row_of_the_first_release_has_the_same_hash():
    expected = "85b92336a52876d1cc4bc9958cb75239c7924dac99f50d612fda9f120c5428b2"
    assert row_hashes(every_kind())[1].tobytes().hex() == expected


@pytest.mark.parametrize("kept_rows", [1, 700, 10_000])
def test_rows_that_do_not_fit_in_memory_give_the_same_fingerprint(kept_rows):
    hashes = np.concatenate([row_hashes(many_rows(5000)), row_hashes(many_rows(100))])
    with RowCollector(kept_rows) as collector:
        for part in np.array_split(hashes, 13):
            collector.add(part)
        assert collector.rows == 5100
        assert collector.finish(["x", "c", "a", "m"]) == fingerprint(["a", "c", "m", "x"], hashes)


def test_a_full_disk_is_reported(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with RowCollector(1) as collector:
        collector.add(row_hashes(many_rows(10)))
        (folder,) = tmp_path.iterdir()
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
        with pytest.raises(DatasetError, match="20 row hashes cannot be laid aside"):
            collector.add(row_hashes(many_rows(10)))


def test_texts_that_recur_and_texts_that_do_not_are_hashed_alike():
    texts = [f"id-{number}" for number in range(2000)] + [None, ""]
    one = row_hashes(pa.table({"s": texts}))
    recurring = row_hashes(pa.table({"s": ["id-0"] * 2000 + texts}))
    assert (recurring[2000:] == one).all()
    assert (row_hashes(pa.table({"s": pa.array([None, *texts])[1:]})) == one).all()
