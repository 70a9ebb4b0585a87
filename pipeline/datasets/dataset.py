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

__all__ = ["Dataset", "DatasetError", "Split", "as_rows"]

Paths = str | Path | Sequence[str | Path]


class Dataset:
    """A table, the URI it was read from, and its fingerprint.

    >>> import pyarrow as pa
    >>> one = Dataset(pa.table({"x": [1, 2], "y": ["a", None]}), "memory:one")
    >>> other = Dataset(pa.table({"y": [None, "a"], "x": [2.0, 1.0]}), "memory:other")
    >>> one.fingerprint == other.fingerprint
    True
    """

    def __init__(
        self, table: pa.Table, uri: str, *, fingerprinted: Sequence[str] | None = None
    ) -> None:
        """Take a table; `fingerprinted` are the columns that its rows are known by, if not all."""
        self.table = table
        self.uri = uri
        self._fingerprinted = tuple(table.column_names if fingerprinted is None else fingerprinted)

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
        has_aliases = len(self._fingerprinted) < self.table.num_columns
        return row_hashes(self.table.select(self._fingerprinted) if has_aliases else self.table)

    @cached_property
    def fingerprint(self) -> str:
        """The fingerprint: equal for the same rows in any order, file split or format."""
        return fingerprint(self._fingerprinted, self.hashes)

    def with_aliases(self, columns: Mapping[str, str]) -> "Dataset":
        """Return the rows with columns under further names; the fingerprint stays the same.

        Args:
            columns: further name → column.

        Raises:
            DatasetError: a column is not there, or another one has the further name.
        """
        table = self.table
        for alias, column in columns.items():
            if column not in self.table.column_names:
                known = ", ".join(self.table.column_names)
                raise DatasetError(f"{self.uri} has no column {column!r}; there are {known}")
            if alias == column:
                continue
            if alias in table.column_names:
                raise DatasetError(
                    f"{self.uri} has a column {alias!r} beside {column!r}; give the field of "
                    f"{column!r} another name"
                )
            table = table.append_column(alias, self.table.column(column))
        return self._with_table(table, self.__dict__.get("hashes"))

    def _with_table(self, table: pa.Table, hashes: NDArray[np.void] | None) -> "Dataset":
        part = Dataset(table, self.uri, fingerprinted=self._fingerprinted)
        if hashes is not None:
            part.__dict__["hashes"] = hashes
        return part

    def where(self, mask: NDArray[np.bool_]) -> "Dataset":
        """Return the rows for which `mask`, bool of shape (rows,), is true; hashes are kept."""
        hashes = self.__dict__.get("hashes")
        table = self.table.filter(pa.array(mask))
        return self._with_table(table, None if hashes is None else hashes[mask])

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
        # Parts of a microsecond do not move an instant over a boundary of whole ones.
        instants = pc.floor_temporal(times, unit="microsecond").cast(pa.timestamp("us", "UTC"))
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


def as_rows(table: pa.Table) -> list[dict[str, Any]]:
    """Return rows as a client sends them: decimals are floats there."""
    for position, column in enumerate(table.columns):
        if pa.types.is_decimal(column.type):
            floats = column.cast(pa.float64())
            table = table.set_column(position, table.column_names[position], floats)
    return list(table.to_pylist())


def _to_numpy(column: pa.ChunkedArray) -> NDArray[Any]:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.float64())
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return np.array(column.to_pylist(), dtype=object)
    return np.asarray(column.to_numpy())
