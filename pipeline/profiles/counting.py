"""What is counted of one piece of a dataset, for each of its blocks: a window, and the texts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gnomon.core.reference import Reference
from gnomon.core.row import Columns
from gnomon.core.window import Window
from gnomon.pipeline.datasets.column_facts import column_kind, merge_texts, text_counts
from gnomon.pipeline.datasets.pieces import Piece
from gnomon.pipeline.datasets.row_encoding import DatasetError

__all__ = [
    "Blocks",
    "CountTask",
    "PieceCounts",
    "as_numbers",
    "count_nothing",
    "count_piece",
    "rename",
]


@dataclass(frozen=True, slots=True)
class PieceCounts:
    """The counts of a block (without blocks all rows are block 0): a window, and the texts.

    `texts` counts those of each column of texts; None if there are too many for a category.
    """

    window: Window
    texts: Mapping[str, Mapping[str, int] | None]

    def merge(self, other: "PieceCounts") -> "PieceCounts":
        """Add the other's counts to these."""
        self.window.merge(other.window)
        texts = {name: merge_texts(one, other.texts[name]) for name, one in self.texts.items()}
        return PieceCounts(self.window, texts)


Blocks = Mapping[int, PieceCounts]


@dataclass(frozen=True, slots=True)
class CountTask:
    """What to count: numeric columns and lengths of texts by the layout of a sample.

    `columns` names the fields of the columns of a piece, in order; `block` is one of them, or "".
    """

    layout: Reference
    columns: tuple[str, ...]
    block: str


def count_nothing(layout: Reference, schema: pa.Schema) -> PieceCounts:
    """Return the counts of no row; `schema` has the columns by the names of their fields."""
    names = [one.name for one in layout.fields]
    texts = [name for name in names if column_kind(schema.field(name).type) == "text"]
    return PieceCounts(Window(layout), {name: {} for name in texts})


def count_piece(task: CountTask, piece: Piece) -> Blocks:
    """Return the counts of a piece's rows, by the numbers of their blocks.

    Raises:
        DatasetError: the piece cannot be read, or a row is of no block.
    """
    names = [one.name for one in task.layout.fields]
    blocks: dict[int, PieceCounts] = {}
    schema = rename(piece.schema, task.columns)
    for batch in piece.batches():
        batch = batch.rename_columns(list(task.columns))
        for number, rows in _blocks(batch, task.block):
            part = batch if rows is None else batch.take(pa.array(rows))
            found = count_nothing(task.layout, schema)
            arrays = [np.ascontiguousarray(as_numbers(part.column(name))) for name in names]
            found.window.update_columns(Columns(arrays))
            texts = {name: text_counts(_decoded(part.column(name))) for name in found.texts}
            found = PieceCounts(found.window, texts)
            blocks[number] = blocks[number].merge(found) if number in blocks else found
    return blocks


def rename(schema: pa.Schema, names: Sequence[str]) -> pa.Schema:
    """Return the schema with other names of its columns."""
    return pa.schema(list(zip(names, schema.types, strict=True)))


def as_numbers(column: pa.Array) -> NDArray[Any]:
    """Return numbers, an array of shape (rows,), with NaN for missing values; lengths of texts."""
    column = _decoded(column)
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    elif pa.types.is_decimal(column.type):
        column = column.cast(pa.float64())
    elif not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        column = pc.utf8_length(column)
    if column.null_count or pa.types.is_float16(column.type):
        column = column.cast(pa.float64(), safe=False)
    array: NDArray[Any] = column.to_numpy(zero_copy_only=False)
    return array if array.dtype.kind != "u" else array.astype(np.float64)


def _decoded(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _blocks(batch: pa.RecordBatch, name: str) -> Iterator[tuple[int, NDArray[np.int64] | None]]:
    """Yield each block in a batch by a number that keeps their order, and its rows."""
    if not name:
        yield 0, None
        return
    column = batch.column(name)
    if column.null_count:
        raise DatasetError(f"column {name!r} has {column.null_count} rows without a block")
    if pa.types.is_date(column.type):
        column = column.cast(pa.timestamp("ms"))
    if pa.types.is_timestamp(column.type):
        column = pc.floor_temporal(column, unit="day").cast(pa.int64())
    if not pa.types.is_integer(column.type):
        raise DatasetError(f"column {name!r} is {column.type}; blocks are days or whole numbers")
    ids = np.asarray(column)
    order = np.argsort(ids, kind="stable")
    starts = np.flatnonzero(np.diff(ids[order], prepend=ids[order[0]] - 1))
    for rows in np.split(order, starts[1:]):
        yield int(ids[rows[0]]), rows
