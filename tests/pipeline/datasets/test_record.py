"""Datasets in files: one fingerprint however they are split, and what has changed since."""

import hashlib
import os
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.pipeline.datasets.csv_dialect import DEFAULT_DIALECT
from gnomon.pipeline.datasets.csv_pieces import csv_pieces
from gnomon.pipeline.datasets.dataset import Dataset
from gnomon.pipeline.datasets.file_cache import FileCache
from gnomon.pipeline.datasets.file_hashes import hash_files
from gnomon.pipeline.datasets.file_index import files_fingerprint, index_files, list_folder
from gnomon.pipeline.datasets.fingerprint import DatasetError
from gnomon.pipeline.datasets.pieces import Piece, table_pieces
from gnomon.pipeline.datasets.record import (
    check_record,
    decode_record,
    encode_record,
    fingerprint_rows,
    record_dataset,
)
from tests.support.recipes import deliveries


@pytest.fixture(scope="module")
def table():
    return deliveries(3000, 0)


def write(table, folder):
    """Write a table in every format, split and sorted otherwise; return the files of each."""
    halves = {"one": table.slice(0, 1000), "two": table.slice(1000)}
    found = {}
    for ending in ("csv", "parquet", "arrow", "arrows"):
        for name, part in halves.items():
            path = folder / f"{name}.{ending}"
            found.setdefault(ending, []).append(path)
            if ending == "csv":
                pyarrow.csv.write_csv(part, path)
            elif ending == "parquet":
                pyarrow.parquet.write_table(part, path, row_group_size=300)
            else:
                new = pa.ipc.new_file if ending == "arrow" else pa.ipc.new_stream
                with new(str(path), part.schema) as writer:
                    writer.write_table(part, max_chunksize=100)
    return found


def test_every_format_and_split_has_the_fingerprint_of_the_rows(table, tmp_path):
    expected = Dataset(table, "").fingerprint
    for files in write(table, tmp_path).values():
        for workers in (1, 3):
            assert fingerprint_rows(table_pieces(files), workers) == (expected, 3000)
        assert record_dataset(files, beside=tmp_path).fingerprint == expected
    assert Dataset.from_arrow([tmp_path / "one.arrow", tmp_path / "two.arrow"]).table.equals(table)
    assert len(Dataset.from_arrow(tmp_path / "two.arrows")) == 2000


def test_parts_with_other_types_are_read_as_one_dataset_is(tmp_path):
    (tmp_path / "a.csv").write_text("n,s\n1,x\n9,y\n")
    (tmp_path / "b.csv").write_text("n,s\n1.5,\n")
    files = [tmp_path / "a.csv", tmp_path / "b.csv"]
    assert fingerprint_rows(table_pieces(files))[0] == Dataset.from_csv(files).fingerprint
    # A float does not hold this number: neither way of reading rounds it.
    (tmp_path / "a.csv").write_text("n,s\n1,x\n9007199254740993,y\n")
    with pytest.raises(DatasetError, match="not in range"):
        Dataset.from_csv(files)
    with pytest.raises(DatasetError, match="not in range"):
        fingerprint_rows(table_pieces(files))


cells = st.sampled_from(
    ["1", "0", "2.5", "", "true", "x", "2026-01-02", "2026-01-02T03:04:05", "9"]
)


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.tuples(cells, cells), min_size=1, max_size=12), size=st.integers(1, 40))
def test_a_csv_in_stretches_has_the_types_of_the_whole(tmp_path_factory, rows, size):
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    path.write_text("\n".join(["a,b", *(",".join(row) for row in rows)]))
    lines, schema = csv_pieces(path, DEFAULT_DIALECT, size)
    options = pa.csv.ConvertOptions(null_values=["", "NA"], strings_can_be_null=True)
    whole = Dataset(pa.csv.read_csv(path, convert_options=options), "")
    assert schema.equals(whole.table.schema)
    pieces = [Piece(one, schema) for one in lines]
    assert fingerprint_rows(pieces) == (whole.fingerprint, len(whole))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a.xls"], "should end in .csv, .parquet"),
        (["a.csv", "b.parquet"], "of one kind"),
        (["empty.csv"], "is empty"),
        (["no.csv"], "No such file"),
        (["broken.parquet"], "broken.parquet"),
        (["text.csv", "number.csv"], "number.csv"),
    ],
)
def test_what_is_no_dataset_is_refused(tmp_path, names, message):
    (tmp_path / "a.csv").write_text("a\n1\n")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1")
    (tmp_path / "text.csv").write_text("a\nx\n")
    (tmp_path / "number.csv").write_text("a\n1.5\n")
    with pytest.raises(DatasetError, match=message):
        table_pieces([tmp_path / name for name in names])


def test_a_check_tells_which_files_have_changed(table, tmp_path):
    files = write(table, tmp_path)["parquet"]
    record = decode_record(encode_record(record_dataset(files, beside=tmp_path)))
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for file in files:
        file.rename(moved / file.name)
    assert check_record(record, moved).is_same
    one, two = (moved / file.name for file in files)

    half = pa.parquet.read_table(two)
    pa.parquet.write_table(half.take(np.arange(len(half))[::-1]), two)
    changes = check_record(record, moved)
    assert changes.is_same
    assert (changes.changed, changes.added, changes.removed) == (("two.parquet",), (), ())

    pa.parquet.write_table(half.slice(1), two)
    changes = check_record(record, moved)
    assert not changes.is_same
    assert changes.fingerprint == Dataset.from_parquet([one, two]).fingerprint
    two.unlink()
    assert check_record(record, moved).removed == ("two.parquet",)


def fill(folder, count=30):
    for number in range(count):
        path = folder / f"d{number % 3}" / f"{number}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes([number % 256]) * (number % 512))


def test_a_folder_is_known_by_names_and_contents(tmp_path):
    fill(tmp_path / "a")
    fill(tmp_path / "b")
    record = record_dataset([tmp_path / "a"], beside=tmp_path)
    assert record.kind == "files"
    assert record.fingerprint == record_dataset([tmp_path / "b"], beside=tmp_path / "a").fingerprint
    (tmp_path / "a" / "d1" / "1.bin").write_bytes(b"\x02")
    (tmp_path / "a" / "d2" / "2.bin").rename(tmp_path / "a" / "new.bin")
    changes = check_record(record, tmp_path)
    assert not changes.is_same
    assert changes.changed == ("d1/1.bin",)
    assert changes.added == ("new.bin",)
    assert changes.removed == ("d2/2.bin",)
    (tmp_path / "a" / "link").symlink_to("new.bin")
    with pytest.raises(DatasetError, match="link is a link or a device"):
        record_dataset([tmp_path / "a"], beside=tmp_path)


def test_processes_hash_as_one_does(tmp_path):
    fill(tmp_path, 2100)
    files = [(path, Path(path).stat().st_size) for path, _ in list_folder(tmp_path)]
    expected = [hashlib.sha256(Path(path).read_bytes()).digest() for path, _ in files]
    assert hash_files(files, 1) == expected
    assert hash_files(files, 2) == expected
    path, size = files[0]
    for workers in (1, 2):
        with pytest.raises(OSError, match="has changed while it was read"):
            hash_files([(path, size + 1), *files[1:]], workers)
        with pytest.raises(FileNotFoundError):
            hash_files([*files, (f"{path}.gone", 1)], workers)


def test_large_files_are_hashed_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr("gnomon.pipeline.datasets.file_hashes.PIECE_BYTES", 1000)
    expected = []
    for size in (1000, 1001, 2000, 2500):
        data = np.random.default_rng(size).bytes(size)
        (tmp_path / f"{size}").write_bytes(data)
        pieces = [data[at : at + 1000] for at in range(0, size, 1000)]
        whole = b"".join(hashlib.sha256(piece).digest() for piece in pieces)
        expected.append(hashlib.sha256(data if size == 1000 else whole).digest())
    files = [(str(tmp_path / f"{size}"), size) for size in (1000, 1001, 2000, 2500)]
    assert hash_files(files, 1) == hash_files(files, 3) == expected
    for size in (2400, 2600):
        with pytest.raises(OSError, match="has changed while it was read"):
            hash_files([(files[-1][0], size)], 2)


@pytest.mark.slow
def test_what_has_not_changed_is_not_read_again(tmp_path):
    folder, cache = tmp_path / "a", FileCache(tmp_path / "cache" / "files.sqlite")
    fill(folder)
    long_ago = time.time() - 3600
    for path, _ in list_folder(folder):
        os.utime(path, (long_ago, long_ago))
    files = list_folder(folder)
    first = index_files(files, cache)
    # Their inodes changed just now: a change within the same instant could not be told.
    assert cache.read() == {}
    deadline = time.monotonic() + 30
    while not cache.read() and time.monotonic() < deadline:
        time.sleep(0.3)
        assert index_files(files, cache) == first
    known = cache.read(str(folder))
    assert len(known) == 30
    assert cache.read(str(tmp_path / "other")) == {}
    # What the cache says is believed: a false hash in it shows that no file was read.
    path = files[5][0]
    cache.write([(path, known[path][0], bytes(32))])
    again = index_files(files, cache)
    assert [one.path for one, before in zip(again, first, strict=True) if one != before] == [
        files[5][1]
    ]
    # The same size and times: the time of the change of the inode tells.
    ninth = folder / "d0" / "9.bin"
    ninth.write_bytes(b"\x01" * 9)
    os.utime(ninth, (long_ago, long_ago))
    (entry,) = [one for one in index_files(files, cache) if one.path == "d0/9.bin"]
    assert entry not in first
    ninth.write_bytes(bytes([9]) * 9)
    (tmp_path / "cache" / "files.sqlite").write_bytes(b"damaged, but not for long" * 100)
    assert cache.read() == {}
    assert files_fingerprint(index_files(files, cache)) == files_fingerprint(first)


def test_a_record_that_is_none_is_refused():
    with pytest.raises(DatasetError, match="no record of a dataset"):
        decode_record(b'{"kind": 3}')
