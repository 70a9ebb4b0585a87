"""Tables in files as pieces: the part that one worker reads, batch by batch, in any process.

A piece is a group of rows of a Parquet or Arrow file, or a chunk of lines of a CSV file. All
pieces of a dataset give the same columns of the same types, whatever their own file suggests.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet

from gnomon.pipeline.datasets.csv_dialect import DEFAULT_DIALECT, CsvDialect
from gnomon.pipeline.datasets.csv_lines import CsvLines
from gnomon.pipeline.datasets.csv_pieces import csv_pieces
from gnomon.pipeline.datasets.csv_records import read_header
from gnomon.pipeline.datasets.csv_text import open_text
from gnomon.pipeline.datasets.row_encoding import DatasetError

__all__ = [
    "ARROW_ENDINGS",
    "TABLE_ENDINGS",
    "Piece",
    "csv_columns",
    "reading_notes",
    "table_pieces",
]

ARROW_ENDINGS = (".arrow", ".feather", ".ipc", ".arrows")
TABLE_ENDINGS = (".csv", ".parquet", *ARROW_ENDINGS)

_BATCH_ROWS = 1 << 16
#: Batches of an Arrow file that make one piece.
_ARROW_BATCHES = 16


class PieceReader(Protocol):
    """A reader of a part of one file."""

    @property
    def path(self) -> Path:
        """The file."""

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows as the file has them."""


@dataclass(frozen=True, slots=True)
class Piece:
    """The part that one worker reads; `schema` is that of the whole dataset."""

    reader: PieceReader
    schema: pa.Schema

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows in batches of the dataset's schema.

        Raises:
            DatasetError: the file cannot be read.
        """
        try:
            for batch in self.reader.batches():
                if batch.num_rows:
                    yield _with_schema(batch, self.schema)
        except (OSError, pa.ArrowException) as error:
            raise DatasetError(f"{self.reader.path}: {error}") from error


def table_pieces(paths: Sequence[Path], dialect: CsvDialect = DEFAULT_DIALECT) -> list[Piece]:
    """Return the pieces of a dataset in one or several files of one kind, in their order.

    Raises:
        DatasetError: a file cannot be read, the kinds differ, or the columns cannot be made one.
    """
    _check_endings(paths)
    pieces: list[Piece] = []
    for path in paths:
        try:
            pieces += _of_file(path, dialect)
        except (OSError, pa.ArrowException) as error:
            raise DatasetError(f"{path}: {error}") from error
    schemas = [one.schema for one in pieces]
    try:
        # A part may hold no value of a column at all, or only whole numbers of it.
        schema = pa.unify_schemas(schemas, promote_options="permissive")
    except pa.ArrowException as error:
        raise DatasetError(f"{', '.join(map(str, paths))}: {error}") from error
    _refuse_rounding(schema, schemas, paths)
    return [replace(piece, schema=schema.remove_metadata()) for piece in pieces]


def csv_columns(path: Path, dialect: CsvDialect = DEFAULT_DIALECT) -> tuple[str, ...]:
    """Return the names of the columns of a CSV file, of which only the header is read.

    Raises:
        DatasetError: the file cannot be read, or has no header.
    """
    _check_endings([path])
    try:
        return read_header(open_text(path, dialect.encoding), dialect).names
    except (OSError, pa.ArrowException) as error:
        raise DatasetError(f"{path}: {error}") from error


def _check_endings(paths: Sequence[Path]) -> None:
    endings = {path.suffix.lower() for path in paths}
    if not endings or not endings <= set(TABLE_ENDINGS):
        shown = ", ".join(map(str, paths)) or "no file"
        raise DatasetError(f"data files should end in {', '.join(TABLE_ENDINGS)}: {shown}")
    if len(endings) > 1:
        raise DatasetError(f"all files of a dataset are of one kind, not {', '.join(endings)}")


def _refuse_rounding(
    schema: pa.Schema, schemas: Sequence[pa.Schema], paths: Sequence[Path]
) -> None:
    """Refuse decimals in one part and floats in another: they would be rounded without an error."""
    for name in schema.names:
        found = {one.field(name).type for one in schemas if name in one.names}
        if pa.types.is_floating(schema.field(name).type) and any(map(pa.types.is_decimal, found)):
            shown = ", ".join(sorted(map(str, found)))
            raise DatasetError(
                f"{', '.join(map(str, paths))}: column {name!r} is {shown} in different parts; "
                "float64 does not hold all of its numbers. Write all parts with one type"
            )


def reading_notes(pieces: Sequence[Piece]) -> list[str]:
    """Return how the CSV files of a dataset were read; a sentence for what differs from others."""
    notes: dict[str, list[str]] = {}
    files = {piece.reader.path: piece.reader for piece in pieces}
    for path, reader in files.items():
        for note in reader.notes if isinstance(reader, CsvLines) else ():
            notes.setdefault(note, []).append(path.name)
    return [
        note if len(names) == len(files) else f"{', '.join(names)}: {note}"
        for note, names in notes.items()
    ]


def _of_file(path: Path, dialect: CsvDialect) -> list[Piece]:
    ending = path.suffix.lower()
    if ending == ".csv":
        readers, schema = csv_pieces(path, dialect)
        return [Piece(reader, schema) for reader in readers]
    if ending == ".parquet":
        with pa.parquet.ParquetFile(path) as file:
            schema, groups = file.schema_arrow, file.num_row_groups
        return [Piece(_ParquetGroup(path, group), schema) for group in range(groups)] or [
            Piece(_ParquetGroup(path, -1), schema)
        ]
    if ending == ".arrows":
        with pa.ipc.open_stream(pa.memory_map(str(path))) as stream:
            return [Piece(_ArrowStream(path), stream.schema)]
    with pa.ipc.open_file(pa.memory_map(str(path))) as table:
        starts = range(0, max(table.num_record_batches, 1), _ARROW_BATCHES)
        return [Piece(_ArrowBatches(path, start), table.schema) for start in starts]


@dataclass(frozen=True, slots=True)
class _ParquetGroup:
    path: Path
    group: int

    def batches(self) -> Iterator[pa.RecordBatch]:
        if self.group >= 0:
            with pa.parquet.ParquetFile(self.path) as file:
                yield from file.iter_batches(_BATCH_ROWS, [self.group], use_threads=False)


@dataclass(frozen=True, slots=True)
class _ArrowStream:
    path: Path

    def batches(self) -> Iterator[pa.RecordBatch]:
        with pa.ipc.open_stream(pa.memory_map(str(self.path))) as stream:
            yield from stream


@dataclass(frozen=True, slots=True)
class _ArrowBatches:
    path: Path
    start: int

    def batches(self) -> Iterator[pa.RecordBatch]:
        with pa.ipc.open_file(pa.memory_map(str(self.path))) as file:
            end = min(self.start + _ARROW_BATCHES, file.num_record_batches)
            for number in range(self.start, end):
                yield file.get_batch(number)


def _with_schema(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return the batch with the dataset's columns; a column that a file lacks is missing."""
    columns = [
        _cast(batch.column(field.name), field.type)
        if field.name in batch.schema.names
        else pa.nulls(batch.num_rows, field.type)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _cast(column: pa.Array, kind: pa.DataType) -> pa.Array:
    return column if column.type == kind else column.cast(kind)
