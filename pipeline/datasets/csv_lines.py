"""A stretch of a CSV file's records, read by Arrow."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from gnomon.pipeline.datasets.csv_dialect import USUAL_WORDS, CsvDialect
from gnomon.pipeline.datasets.csv_records import Header, Stretch, fill_short_rows, parse_options
from gnomon.pipeline.datasets.csv_text import CsvText

__all__ = ["CsvLines"]

#: The bytes that Arrow parses at a time, unless a record is longer.
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class CsvLines:
    """A stretch of a file's records.

    Attributes:
        text: the file.
        header: its columns and delimiter.
        dialect: how it is written.
        stretch: the records.
        types: column → type.
        worded: columns in which the usual words stand for no value.
        notes: how the whole file is read, in sentences.
    """

    text: CsvText
    header: Header
    dialect: CsvDialect
    stretch: Stretch
    types: Mapping[str, pa.DataType] = field(default_factory=dict)
    worded: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        """The file."""
        return self.text.path

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows.

        Raises:
            DatasetError: the file has changed, or cannot be read.
            pa.ArrowInvalid: its values have other types.
        """
        names = self.header.names
        plain = self.read([name for name in names if name not in self.worded], self.types)
        worded = self.read([name for name in names if name in self.worded], self.types, USUAL_WORDS)
        table = pa.table(
            [(worded if name in self.worded else plain).column(name) for name in names],
            names=list(names),
        )
        yield from table.to_batches()

    def read(
        self,
        columns: Sequence[str],
        types: Mapping[str, pa.DataType] | None = None,
        words: Sequence[str] = (),
    ) -> pa.Table:
        """Return some columns, with given types or those that Arrow infers.

        Args:
            columns: their names.
            types: column → type.
            words: more texts that stand for no value.
        """
        if not self.stretch.rows or not columns:
            types = types or {}
            return pa.table({name: pa.nulls(0, types.get(name)) for name in columns})
        data = self.text.read(self.stretch.start, self.stretch.end)
        if self.stretch.short:
            data = fill_short_rows(data, self.header)
        block = min(max(_BLOCK_BYTES, 2 * self.stretch.longest + 1), (1 << 31) - 1)
        return pa.csv.read_csv(
            pa.BufferReader(data),
            pa.csv.ReadOptions(column_names=list(self.header.names), block_size=block),
            parse_options(self.header.delimiter),
            pa.csv.ConvertOptions(
                null_values=[*self.dialect.missing, *words],
                strings_can_be_null=True,
                decimal_point=self.dialect.decimal,
                column_types={
                    name: kind for name, kind in (types or {}).items() if name in columns
                },
                include_columns=list(columns),
            ),
        )

    def texts(self, columns: Sequence[str], words: Sequence[str] = ()) -> dict[str, pa.Array]:
        """Return columns as they are written, with "." as decimal mark."""
        table = self.read(columns, dict.fromkeys(columns, pa.string()), words)
        found = {name: table.column(name).combine_chunks() for name in columns}
        if self.dialect.decimal == ",":
            return {name: pc.replace_substring(one, ",", ".") for name, one in found.items()}
        return found

    def fits(self, name: str, kind: pa.DataType, words: Sequence[str]) -> bool:
        """Say whether all values of a column are of a type."""
        try:
            self.read([name], {name: kind}, words)
        except pa.ArrowInvalid:
            return False
        return True
