"""Fields and reference of a dataset in files, in one pass over its pieces.

A sample of evenly spread pieces gives the edges of the bins. Then every piece is counted
once, by a window of the core: windows and facts merge exactly and in any order, so one process,
many processes and many machines give the same, bit for bit. Extremes, categories, counts and design
effects come from all rows.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gnomon.core.fields import Field, Kind
from gnomon.core.profiling import build_reference
from gnomon.core.reference import FieldReference, Reference
from gnomon.core.window import Window
from gnomon.pipeline.datasets.column_facts import (
    ColumnFacts,
    attributes,
    column_kind,
    why_no_field,
)
from gnomon.pipeline.datasets.pieces import Piece
from gnomon.pipeline.datasets.row_encoding import DatasetError
from gnomon.pipeline.profiles.counting import (
    Blocks,
    CountTask,
    PieceCounts,
    as_numbers,
    count_nothing,
    count_piece,
    rename,
)
from gnomon.pipeline.profiles.effects import with_effects
from gnomon.runtime.packages.column_names import describe_column as describe_name
from gnomon.runtime.packages.column_names import field_names

__all__ = ["Run", "in_this_process", "profile_pieces"]

_SAMPLE_ROWS = 100_000
_SAMPLE_PIECES = 16

#: Applies a function to every piece, somewhere, and gives the results in any order.
Run = Callable[[Callable[[Piece], "Blocks"], Sequence[Piece]], Iterable["Blocks"]]


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
    schema = rename(pieces[0].schema, list(names_of.values()))
    fields_of = [names_of[column] for column in columns]
    task = CountTask(
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
    for part in run(partial(count_piece, task), pieces):
        for number, one in part.items():
            blocks[number] = blocks[number].merge(one) if number in blocks else one
    if not blocks:
        raise DatasetError("the dataset holds no row")
    ordered = [blocks[number] for number in sorted(blocks)]
    total = count_nothing(layout, schema)
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
                part.append(as_numbers(head.column(name)).astype(np.float64))
            left -= head.num_rows
            if left <= 0:
                break
    return [np.concatenate([np.empty(0), *part]) for part in parts]


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
