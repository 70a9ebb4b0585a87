"""Datasets: rows in memory, the URI that they came from, and their fingerprint."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc
import pyarrow.parquet
from numpy.typing import NDArray

from gnomon.pipeline.datasets.csv_dialect import DEFAULT_DIALECT, CsvDialect
from gnomon.pipeline.datasets.fingerprint import DatasetError, fingerprint, row_hashes
from gnomon.pipeline.datasets.pieces import table_pieces
from gnomon.pipeline.datasets.sql_table import query_table, query_uri

__all__ = ["Dataset", "DatasetError", "Split"]

Paths = str | Path | Sequence[str | Path]


class Dataset:
    """A table, the URI it was read from, and its fingerprint.

    >>> import pyarrow as pa
    >>> one = Dataset(pa.table({"x": [1, 2], "y": ["a", None]}), "memory:one")
    >>> other = Dataset(pa.table({"y": [None, "a"], "x": [2.0, 1.0]}), "memory:other")
    >>> one.fingerprint == other.fingerprint
    True
    """

    def __init__(self, table: pa.Table, uri: str) -> None:
        self.table = table
        self.uri = uri

    @classmethod
    def from_frame(cls, frame: Any, uri: str) -> "Dataset":
        """Take a pandas data frame without its index, or what Arrow can read as a table."""
        if hasattr(frame, "__arrow_c_stream__") and not hasattr(frame, "to_records"):
            return cls(pa.table(frame), uri)
        return cls(pa.Table.from_pandas(frame, preserve_index=False), uri)

    @classmethod
    def from_parquet(cls, paths: Paths) -> "Dataset":
        """Read one Parquet file or several parts of one dataset."""
        return cls._read(paths, pa.parquet.read_table)

    @classmethod
    def from_csv(cls, paths: Paths, dialect: CsvDialect = DEFAULT_DIALECT) -> "Dataset":
        """Read one CSV file or several parts of one."""
        files = _as_files(paths)
        pieces = table_pieces(files, dialect)
        batches = [batch for piece in pieces for batch in piece.batches()]
        return cls(pa.Table.from_batches(batches, pieces[0].schema), _uri(files))

    @classmethod
    def from_arrow(cls, paths: Paths) -> "Dataset":
        """Read one Arrow file (or stream: `.arrows`) or several parts of one dataset."""
        return cls._read(paths, _read_arrow)

    @classmethod
    def from_sql(cls, query: str, url: str, variable: str) -> "Dataset":
        """Read the rows of a query; see `gnomon.pipeline.datasets.sql_table`."""
        return cls(query_table(query, url, variable), query_uri(query, variable))

    @classmethod
    def _read(cls, paths: Paths, reader: Any) -> "Dataset":
        files = _as_files(paths)
        try:
            tables = [reader(path) for path in files]
            # A part may hold no value of a column at all, or only whole numbers of it.
            table = pa.concat_tables(tables, promote_options="permissive")
        except (OSError, pa.ArrowException) as error:
            raise DatasetError(f"{', '.join(map(str, files))}: {error}") from error
        return cls(table, _uri(files))

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @cached_property
    def hashes(self) -> NDArray[np.void]:
        """One hash of 32 bytes for each row, in the table's order.

        See `gnomon.pipeline.datasets.fingerprint`.
        """
        return row_hashes(self.table)

    @cached_property
    def fingerprint(self) -> str:
        """The fingerprint: equal for the same rows in any order, file split or format."""
        return fingerprint(self.table.column_names, self.hashes)

    def where(self, mask: NDArray[np.bool_]) -> "Dataset":
        """Return the rows for which `mask`, bool of shape (rows,), is true; hashes are kept."""
        part = Dataset(self.table.filter(pa.array(mask)), self.uri)
        if "hashes" in self.__dict__:
            part.__dict__["hashes"] = self.hashes[mask]
        return part

    def columns(self, names: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Return the named columns as a contract takes them.

        Numbers with missing values become float64 with NaN, texts become objects with None.
        """
        return {name: _to_numpy(self.table.column(name)) for name in names}

    def split_by_time(self, column: str, boundary: datetime) -> "Split":
        """Return the rows before `boundary` and those from it on.

        Raises:
            DatasetError: if the column is unknown or not a time, a time is missing, or
                one side would be empty.
        """
        if column not in self.table.column_names:
            known = ", ".join(self.table.column_names)
            raise DatasetError(f"there is no column {column!r} to split by; there are {known}")
        times = self.table.column(column)
        if not pa.types.is_timestamp(times.type):
            raise DatasetError(
                f"column {column!r} is {times.type}; a split by time needs timestamps"
            )
        if times.null_count:
            raise DatasetError(f"column {column!r} has {times.null_count} rows without a time")
        if boundary.tzinfo is None:
            boundary = boundary.replace(tzinfo=UTC)
        instants = times.cast(pa.timestamp("us", "UTC"))
        before = np.asarray(pc.less(instants, pa.scalar(boundary, pa.timestamp("us", "UTC"))))
        if before.all() or not before.any():
            raise DatasetError(f"all {len(self)} rows are on one side of {boundary.isoformat()}")
        _ = self.hashes
        return Split(self.where(before), self.where(~before), column, boundary)


@dataclass(frozen=True)
class Split:
    """Two sides of a dataset: what is before `boundary` trains, what follows tests."""

    train: Dataset
    test: Dataset
    column: str
    boundary: datetime

    @property
    def recipe(self) -> Mapping[str, Any]:
        """How to make the split again, and the fingerprints that both sides must then have."""
        return {
            "kind": "time",
            "column": self.column,
            "boundary": self.boundary.astimezone(UTC).isoformat(),
            "train_rows": len(self.train),
            "train_fingerprint": self.train.fingerprint,
            "test_rows": len(self.test),
            "test_fingerprint": self.test.fingerprint,
        }


def _as_files(paths: Paths) -> list[Path]:
    files = [Path(path) for path in ([paths] if isinstance(paths, str | Path) else paths)]
    if not files:
        raise DatasetError("a dataset needs at least one file")
    return files


def _uri(files: Sequence[Path]) -> str:
    return " ".join(path.resolve().as_uri() for path in files)


def _read_arrow(path: Path) -> pa.Table:
    with pa.memory_map(str(path)) as file:
        if path.suffix.lower() == ".arrows":
            return pa.ipc.open_stream(file).read_all()
        return pa.ipc.open_file(file).read_all()


def _to_numpy(column: pa.ChunkedArray) -> NDArray[Any]:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return np.array(column.to_pylist(), dtype=object)
    return np.asarray(column.to_numpy())
