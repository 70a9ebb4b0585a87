"""CSV files in chunks of lines, with the types that reading each file whole would give.

Arrow infers a column's type by trying types in order until all values of the file fit. Here each
chunk is inferred by itself; if they differ, types are tried on all chunks.
"""

import io
import mmap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.csv

from gnomon.pipeline.datasets.row_encoding import DatasetError

__all__ = ["CsvLines", "csv_pieces"]

#: The approximate bytes of a chunk. It ends at a line's end: a file that is larger may have no
#: line breaks within its values.
STRETCH_BYTES = 64 << 20

#: In the order in which Arrow tries them.
_TRIED = (
    pa.null(),
    pa.int64(),
    pa.bool_(),
    pa.date32(),
    pa.time32("s"),
    pa.timestamp("s"),
    pa.timestamp("s", "UTC"),
    pa.timestamp("ns"),
    pa.timestamp("ns", "UTC"),
    pa.float64(),
    pa.string(),
)


@dataclass(frozen=True, slots=True)
class CsvLines:
    """The lines of a file from byte `start` to byte `end`, without the one that names columns."""

    path: Path
    start: int
    end: int
    names: tuple[str, ...]
    missing: tuple[str, ...]
    types: Mapping[str, pa.DataType] | None = None

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows."""
        yield from self.read(self.types).to_batches()

    def read(
        self, types: Mapping[str, pa.DataType] | None, columns: Sequence[str] | None = None
    ) -> pa.Table:
        """Return the rows, some columns of them or all, with given types or those that fit."""
        with self.path.open("rb") as file:
            file.seek(self.start)
            data = file.read(self.end - self.start)
        convert = pa.csv.ConvertOptions(
            null_values=list(self.missing),
            strings_can_be_null=True,
            column_types=dict(types or {}),
            include_columns=list(columns or ()),
        )
        read = pa.csv.ReadOptions(column_names=list(self.names))
        if not data.strip():
            return pa.table({name: pa.nulls(0) for name in columns or self.names})
        return pa.csv.read_csv(io.BytesIO(data), read, convert_options=convert)


def csv_pieces(
    path: Path, missing: Sequence[str], stretch_bytes: int = STRETCH_BYTES
) -> tuple[list[CsvLines], pa.Schema]:
    """Return the chunks of one file, and the schema that reading it whole would give.

    Raises:
        DatasetError: the file is empty.
        pa.ArrowInvalid: it is no CSV.
    """
    if not path.stat().st_size:
        raise DatasetError(f"{path} is empty; the first line should name the columns")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        first = data.find(b"\n") + 1 or len(data)
        head = pa.csv.read_csv(io.BytesIO(data[:first]))
        ends = list(_line_ends(data, first, stretch_bytes))
    names = tuple(head.column_names)
    starts = [first, *ends[:-1]]
    lines = [
        CsvLines(path, start, end, names, tuple(missing))
        for start, end in zip(starts, ends, strict=True)
    ]
    schema = _schema(lines)
    types = {field.name: field.type for field in schema if field.type != pa.null()}
    return [CsvLines(path, one.start, one.end, names, one.missing, types) for one in lines], schema


def _line_ends(data: mmap.mmap, first: int, stretch_bytes: int) -> Iterator[int]:
    at = first
    while True:
        found = data.find(b"\n", at + stretch_bytes)
        if found < 0 or found + 1 >= len(data):
            yield len(data)
            return
        at = found + 1
        yield at


def _schema(lines: Sequence[CsvLines]) -> pa.Schema:
    found = [one.read(None).schema for one in lines]
    return pa.schema(
        [
            (name, _type(name, lines, [one.field(name).type for one in found]))
            for name in lines[0].names
        ]
    )


def _type(name: str, lines: Sequence[CsvLines], found: Sequence[pa.DataType]) -> pa.DataType:
    """Return the first type, in the order in which Arrow tries, that fits all chunks."""
    if len(set(found)) == 1:
        return found[0]
    if not set(found) <= set(_TRIED):
        return pa.string()
    last = max(_TRIED.index(kind) for kind in found)
    return next(
        kind
        for kind in _TRIED[last:]
        if kind == pa.string()
        or all(
            one == kind or _fits(name, part, kind) for part, one in zip(lines, found, strict=True)
        )
    )


def _fits(name: str, lines: CsvLines, kind: pa.DataType) -> bool:
    try:
        lines.read({name: kind}, [name])
    except pa.ArrowInvalid:
        return False
    return True
