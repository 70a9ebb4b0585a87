"""Fields and reference of a dataset in files, in one pass over its pieces.

A sample of evenly spread pieces gives the edges of the bins. Then every piece is counted
once, by a window of the core: windows and facts merge exactly and in any order, so one process,
many processes and many machines give the same, bit for bit. Extremes, categories, counts and design
effects come from all rows.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gnomon.core.fields import Field, Kind
from gnomon.core.profiling import build_reference
from gnomon.core.reference import FieldReference, Reference
from gnomon.core.row import Columns
from gnomon.core.window import Window
from gnomon.pipeline.datasets.column_facts import (
    ColumnFacts,
    attributes,
    column_kind,
    merge_texts,
    text_counts,
    why_no_field,
)
from gnomon.pipeline.datasets.pieces import Piece
from gnomon.pipeline.datasets.row_encoding import DatasetError
from gnomon.pipeline.profiles.effects import with_effects
from gnomon.runtime.packages.column_names import describe_column as describe_name
from gnomon.runtime.packages.column_names import field_names

__all__ = ["PieceCounts", "Run", "in_this_process", "profile_pieces"]

_SAMPLE_ROWS = 100_000
_SAMPLE_PIECES = 16

#: Applies a function to every piece, somewhere, and gives the results in any order.
Run = Callable[[Callable[[Piece], "Blocks"], Sequence[Piece]], Iterable["Blocks"]]


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
class _Task:
    """What to count: numeric columns and lengths of texts by the layout of a sample.

    `columns` names the fields of the columns of a piece, in order; `block` is one of them, or "".
    """

    layout: Reference
    columns: tuple[str, ...]
    block: str


def in_this_process(count: Callable[[Piece], Blocks], pieces: Sequence[Piece]) -> Iterator[Blocks]:
    """Count piece after piece."""
    return map(count, pieces)


def profile_pieces(
    pieces: Sequence[Piece],
    names: Sequence[str] = (),
    *,
    block: str = "",
    bins: int = 32,
    margin: float = 0.5,
    run: Run = in_this_process,
) -> tuple[tuple[Field, ...], Reference]:
    """Return a field for each named column (default: all suitable ones), and their reference.

    `block` names the column whose values (or days, in UTC) belong together; the design effects come
    from it. Fields are derived as by `gnomon.pipeline.profiles.profile.derive_fields`.

    A column with a name that no field can have becomes a field of a similar name, with the column's
    in its description. Columns without a value are left out unless they are named.

    Args:
        pieces: of the dataset, in any order.
        names: columns; empty: all that make a field.
        block: the column whose values belong together; empty: each row is its own.
        bins: of a numeric field.
        margin: by how much of its width a range is widened on either side.
        run: runs a function on each piece, here or elsewhere.

    Raises:
        DatasetError: a name is no column, or a column makes no field.
    """
    columns = _chosen_columns(pieces[0].schema, names, block)
    names_of = dict(zip(pieces[0].schema.names, field_names(pieces[0].schema.names), strict=True))
    schema = _renamed(pieces[0].schema, list(names_of.values()))
    fields_of = [names_of[column] for column in columns]
    task = _Task(
        build_reference(
            [Field(name=name, kind=Kind.FLOAT64) for name in fields_of],
            dict(zip(fields_of, _sample(pieces, columns), strict=True)),
            bins=bins,
        ),
        tuple(names_of.values()),
        names_of.get(block, ""),
    )
    layout = task.layout
    blocks: dict[int, PieceCounts] = {}
    for part in run(partial(_count, task), pieces):
        for number, one in part.items():
            blocks[number] = blocks[number].merge(one) if number in blocks else one
    if not blocks:
        raise DatasetError("the dataset holds no row")
    ordered = [blocks[number] for number in sorted(blocks)]
    total = _nothing(layout, schema)
    for one in ordered:
        total = total.merge(one)
    facts = [_facts(schema.field(name), total) for name in fields_of]
    if not names:
        facts = [one for one in facts if one.missing < one.rows]
    described = {names_of[column]: column for column in columns if names_of[column] != column}
    fields = tuple(
        Field(
            name=one.name,
            description=describe_name(described[one.name]) if one.name in described else "",
            **attributes(replace(one, name=described.get(one.name, one.name)), margin),
        )
        for one in facts
    )
    reference = _reference(layout, facts, total.window)
    if block:
        reference = with_effects(reference, layout, [(one.window, one.texts) for one in ordered])
    return fields, reference


def _chosen_columns(schema: pa.Schema, names: Sequence[str], block: str) -> list[str]:
    """Return the columns that become fields: those that are named, or all that can."""
    columns = list(names) or [
        one.name for one in schema if column_kind(one.type) and one.name != block
    ]
    for name in (*columns, *filter(None, [block])):
        if name not in schema.names:
            raise DatasetError(f"there is no column {name!r}; there are {', '.join(schema.names)}")
    for name in columns:
        if column_kind(schema.field(name).type) is None:
            raise DatasetError(f"column {name!r} {why_no_field(schema.field(name).type)}")
    return columns


def _renamed(schema: pa.Schema, names: Sequence[str]) -> pa.Schema:
    return pa.schema(list(zip(names, schema.types, strict=True)))


def _sample(pieces: Sequence[Piece], names: Sequence[str]) -> list[NDArray[np.float64]]:
    """Return the first rows of evenly spaced pieces, an array of shape (rows,) for each column."""
    steps = np.linspace(0, len(pieces) - 1, min(len(pieces), _SAMPLE_PIECES)).round()
    chosen = [pieces[int(step)] for step in np.unique(steps)]
    wanted = -(-_SAMPLE_ROWS // len(chosen))
    parts: list[list[NDArray[np.float64]]] = [[] for _ in names]
    for piece in chosen:
        left = wanted
        for batch in piece.batches():
            head = batch.slice(0, left)
            for part, name in zip(parts, names, strict=True):
                part.append(_numbers(head.column(name)).astype(np.float64))
            left -= head.num_rows
            if left <= 0:
                break
    return [np.concatenate([np.empty(0), *part]) for part in parts]


def _nothing(layout: Reference, schema: pa.Schema) -> PieceCounts:
    names = [one.name for one in layout.fields]
    texts = [name for name in names if column_kind(schema.field(name).type) == "text"]
    return PieceCounts(Window(layout), {name: {} for name in texts})


def _count(task: _Task, piece: Piece) -> Blocks:
    names = [one.name for one in task.layout.fields]
    blocks: dict[int, PieceCounts] = {}
    schema = _renamed(piece.schema, task.columns)
    for batch in piece.batches():
        batch = batch.rename_columns(list(task.columns))
        for number, rows in _blocks(batch, task.block):
            part = batch if rows is None else batch.take(pa.array(rows))
            found = _nothing(task.layout, schema)
            arrays = [np.ascontiguousarray(_numbers(part.column(name))) for name in names]
            found.window.update_columns(Columns(arrays))
            texts = {name: text_counts(_decoded(part.column(name))) for name in found.texts}
            found = PieceCounts(found.window, texts)
            blocks[number] = blocks[number].merge(found) if number in blocks else found
    return blocks


def _facts(column: pa.Field, total: PieceCounts) -> ColumnFacts:
    """Return the facts of a column: all but the texts from the window."""
    window, texts = total.window, total.texts.get(column.name)
    missing, moments = int(window.cells(column.name)[-2]), window.moments(column.name)
    return ColumnFacts(
        column.name,
        column_kind(column.type) or "float",
        window.rows,
        missing,
        moments.minimum,
        moments.maximum,
        texts,
    )


def _numbers(column: pa.Array) -> NDArray[Any]:
    """Return numbers with NaN for missing values; for texts, their lengths."""
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


def _reference(layout: Reference, facts: Sequence[ColumnFacts], total: Window) -> Reference:
    known = {one.name: one for one in facts}
    fields = tuple(
        _field(one, known[one.name], total) for one in layout.fields if one.name in known
    )
    numeric = {one.name for one in fields if one.kind == "numeric"}
    pairs = []
    for index, pair in enumerate(layout.pairs):
        if {pair.first, pair.second} <= numeric:
            same, other, incomplete = (int(count) for count in total.pair_cells(index))
            correlation = total.correlation(index)
            counts = (same, other, incomplete)
            pairs.append(replace(pair, counts=counts, correlation=correlation))
    return Reference(fields, total.rows, tuple(pairs))


def _field(one: FieldReference, facts: ColumnFacts, total: Window) -> FieldReference:
    if facts.texts is not None:
        levels = sorted(facts.texts)
        counts = (*(facts.texts[level] for level in levels), 0, facts.missing, 0)
        return FieldReference(one.name, "category", categories=tuple(levels), counts=counts)
    moments = total.moments(one.name)
    counts = tuple(int(count) for count in total.cells(one.name))
    if not one.edges or not moments.count:
        return replace(one, counts=counts)
    edges = list(one.edges)
    # Values beyond the sample's extremes belong to the first and the last bin.
    edges[0], edges[-1] = min(edges[0], moments.minimum), max(edges[-1], moments.maximum)
    inner = list(counts[1:-3])
    inner[0], inner[-1] = inner[0] + counts[0], inner[-1] + counts[-3]
    return replace(
        one,
        edges=tuple(edges),
        counts=(0, *inner, 0, *counts[-2:]),
        mean=moments.mean,
        variance=moments.variance,
        minimum=moments.minimum,
        maximum=moments.maximum,
    )
