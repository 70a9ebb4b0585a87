"""The fingerprint of a dataset: one name for a multiset of rows.

The same rows give the same fingerprint in whatever order, in however many files, in CSV, Parquet or
memory. Each row is written in a canonical form and hashed (BLAKE2b, 256 bits); the fingerprint is
the SHA-256 of the sorted row hashes and of the column names. Sorting makes it independent of the
order and keeps the collision resistance of the hash: an equal fingerprint for other rows is a
collision of SHA-256 or BLAKE2b. Adding the row hashes up modulo 2^256 would need no sorting, but
collisions of such sums cost about 2^32 steps (Wagner, "A Generalized Birthday Problem", 2002), and
sums wide enough to be safe (Bellare and Micciancio, 1997) take 2 kB of hash a row. Sorted hashes
take 32 bytes of memory a row, up to `KEPT_ROWS`; beyond, they are kept in files by prefix.

What counts as the same value: 5 and 5.0 (a column of whole numbers becomes one of floats if
values are missing); null and NaN; 0.0 and −0.0; equal instants in whatever unit and time zone (one
without a zone is taken as UTC), as of any year; equal times of day, and equal durations; decimals
of any scale, and one of at most 15 digits and the float64 nearest to it. Whole numbers beyond int64
and longer decimals are compared by their digits. Text is compared by its code points, bytes by
their values, other numbers by their 64 bits. A missing text is not a missing number: a column
without any value counts as its declared type.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gnomon.core.row_hash import hash_rows, sort_rows
from gnomon.pipeline.datasets.row_encoding import DatasetError, encode_rows, wide_cells

__all__ = ["KEPT_ROWS", "DatasetError", "RowCollector", "fingerprint", "row_hashes"]

HASH_BYTES = 32
SCHEME = "rows-1"
#: So many hashes are held in memory (128 MB) before they are laid out in files.
KEPT_ROWS = 1 << 22

_BATCH_ROWS = 1 << 14
_FILES = 256


def row_hashes(table: pa.Table) -> NDArray[np.void]:
    """Return one hash of 32 bytes per row, in the table's order.

    Columns are taken in the order of their names.

    Raises:
        DatasetError: if a column holds what is neither number, text, bool nor time, or two
            columns have one name.
    """
    names = sorted(table.column_names)
    if len(set(names)) != len(names):
        raise DatasetError(f"column names must differ, got: {', '.join(names)}")
    parts = [_hash_batch(names, batch) for batch in table.to_batches(max_chunksize=_BATCH_ROWS)]
    hashes = np.concatenate(parts) if names and parts else np.empty((0, HASH_BYTES), np.uint8)
    return hashes.view(f"V{HASH_BYTES}").reshape(-1)


def _hash_batch(names: Sequence[str], batch: pa.RecordBatch) -> NDArray[np.uint8]:
    """Hash rows; those in which other numbers are wide are encoded apart."""
    wide = [mask for name in names if (mask := wide_cells(batch.column(name))) is not None]
    if not wide:
        return _hash_alike(names, batch)
    patterns, group = np.unique(np.stack(wide, axis=1), axis=0, return_inverse=True)
    hashes = np.empty((batch.num_rows, HASH_BYTES), np.uint8)
    for number in range(len(patterns)):
        rows = np.flatnonzero(group.reshape(-1) == number)
        hashes[rows] = _hash_alike(names, batch.take(pa.array(rows)))
    return hashes


def _hash_alike(names: Sequence[str], batch: pa.RecordBatch) -> NDArray[np.uint8]:
    return hash_rows(encode_rows([(name, batch.column(name)) for name in names], batch.num_rows))


def fingerprint(column_names: Iterable[str], hashes: NDArray[np.void]) -> str:
    """Return `rows-1:` and 64 hexadecimal digits for the multiset of rows with these hashes.

    Args:
        column_names: of the table.
        hashes: one hash of 32 bytes for each row, as `row_hashes` returns them.
    """
    return _finish(column_names, len(hashes), [sort_rows(_bytes(hashes))])


class RowCollector:
    """Computes the fingerprint of all rows from their hashes, added in any order.

    Beyond `kept_rows` they go to 256 temporary files by their first byte, which are sorted one
    after the other: memory for a 256th of them is enough. Use as a context; it removes the files.

    Raises:
        DatasetError: the disk has no space for the files.
    """

    def __init__(self, kept_rows: int = KEPT_ROWS) -> None:
        self.rows = 0
        self._kept_rows = kept_rows
        self._kept: list[NDArray[np.uint8]] = []
        self._kept_count = 0
        self._folder: TemporaryDirectory[str] | None = None

    def __enter__(self) -> "RowCollector":
        return self

    def __exit__(self, *_: object) -> None:
        if self._folder is not None:
            self._folder.cleanup()

    def add(self, hashes: NDArray[np.void]) -> None:
        """Take more hashes, of 32 bytes and shape (rows,)."""
        self._kept.append(_bytes(hashes))
        self._kept_count += len(hashes)
        self.rows += len(hashes)
        if self._kept_count > self._kept_rows:
            self._spill()

    def finish(self, column_names: Iterable[str]) -> str:
        """Return the fingerprint of all rows that were added."""
        if self._folder is None:
            return _finish(column_names, self.rows, [sort_rows(self._take())])
        self._spill()
        return _finish(column_names, self.rows, self._read_sorted(Path(self._folder.name)))

    def _take(self) -> NDArray[np.uint8]:
        taken = np.concatenate([np.empty((0, HASH_BYTES), np.uint8), *self._kept])
        self._kept, self._kept_count = [], 0
        return taken

    def _spill(self) -> None:
        if self._folder is None:
            self._folder = TemporaryDirectory(prefix="gnomon-rows-")
        ordered = sort_rows(self._take())
        ends = np.searchsorted(ordered[:, 0], np.arange(_FILES), side="right")
        try:
            for first, part in enumerate(np.split(ordered, ends[:-1])):
                if len(part):
                    with Path(self._folder.name, f"{first:02x}").open("ab") as file:
                        file.write(part.tobytes())
        except OSError as error:
            raise DatasetError(f"{self.rows} row hashes cannot be laid aside: {error}") from error

    def _read_sorted(self, folder: Path) -> Iterator[NDArray[np.uint8]]:
        for file in sorted(folder.iterdir()):
            yield sort_rows(np.fromfile(file, np.uint8).reshape(-1, HASH_BYTES), skip=8)


def _finish(column_names: Iterable[str], rows: int, parts: Iterable[NDArray[np.uint8]]) -> str:
    total = hashlib.sha256()
    for name in sorted(column_names):
        total.update(len(name.encode()).to_bytes(8, "little") + name.encode())
    total.update(rows.to_bytes(8, "little"))
    for part in parts:
        total.update(part.data)
    return f"{SCHEME}:{total.hexdigest()}"


def _bytes(hashes: NDArray[np.void]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(hashes).view(np.uint8).reshape(-1, HASH_BYTES)
