"""From columns of training data to a `Reference`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gnomon.core.cells.layout import SIGN_UNIT
from gnomon.core.fields import Field
from gnomon.core.profiling.edges import choose_edges, median_and_tie
from gnomon.core.profiling.effect import cells_effect, values_effect
from gnomon.core.reference import FieldReference, PairReference, Reference
from gnomon.core.row import Columns
from gnomon.core.window import Window

__all__ = ["build_reference", "cells_of"]

AUTO_PAIRS = 66
"""Pairs kept by `pairs="auto"`: all of 12 fields, of more fields the most correlated."""

OK, MISSING, INVALID, UNSEEN = range(4)
Pairs = str | Sequence[tuple[str, str]]
Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Column:
    """One field's rows: numbers or codes, NaN if absent, and the status of each."""

    values: Values
    status: NDArray[np.uint8]
    is_category: bool
    categories: tuple[str, ...] = ()


def build_reference(
    fields: Sequence[Field],
    columns: Mapping[str, ArrayLike] | Columns,
    *,
    bins: int = 32,
    blocks: ArrayLike | None = None,
    pairs: Pairs = "auto",
) -> Reference:
    """Describe training data.

    Free texts are described by their length, vectors by whether they are present. A field that has
    no finite value gets no edges; a window then keeps a sketch of it.

    For data that does not fit in memory: build from a sample, count the rest in windows, merge
    these, and take the counts over with `Reference.with_counts`.

    Args:
        fields: the fields to describe.
        columns: each field's rows by its name (numbers, with NaN or None for missing ones; texts
            for categories), or what a contract's check gave, in the order of `fields`.
        bins: about how many quantile bins a numeric field is cut into, 1 to 1024.
        blocks: the natural block (day) of each row; design effects are estimated from them.
        pairs: "auto" (all of up to 12 numeric fields, else the 66 most correlated), "all", "none",
            or pairs of names.

    Raises:
        ValueError: a column is missing, or columns differ in length.
    """
    if not 1 <= bins <= 1024:
        raise ValueError(f"bins is {bins}, expected 1 to 1024")
    read = {one.name: _read(one, columns, index) for index, one in enumerate(fields)}
    sizes = {len(column.values) for column in read.values()}
    if len(sizes) > 1:
        raise ValueError(f"the columns differ in length: {sorted(sizes)}")
    described = [_describe(one, read[one.name], bins) for one in fields]
    numbers, block_rows = _number_blocks(blocks, max(sizes, default=0))
    reference = Reference(tuple(described), block_rows=block_rows)
    chosen = _choose_pairs(pairs, reference, read)
    reference = replace(reference, pairs=chosen)
    reference = _count(reference, list(read.values()))
    return reference if numbers is None else _with_effects(reference, read, numbers)


def _read(field: Field, columns: Mapping[str, ArrayLike] | Columns, index: int) -> Column:
    is_code = field.kind.is_text and field.allowed is not None
    categories = tuple(str(value) for value in field.allowed or ()) if is_code else ()
    if field.kind.is_vector:
        categories = ("present",)
    if isinstance(columns, Columns):
        values, status = columns.values(index), columns.status(index)
    elif field.name not in columns:
        raise ValueError(f"column {field.name!r} is missing")
    elif field.kind.is_vector:
        status = np.zeros(len(np.asarray(columns[field.name])), dtype=np.uint8)
        values = np.zeros(len(status))
    elif field.kind.is_text:
        values, status = _texts(np.asarray(columns[field.name], dtype=object), categories)
    else:
        values, status = _numbers(field.name, columns[field.name])
    if field.kind.is_vector:
        values = np.where(status == OK, 0.0, np.nan)
    return Column(values, status, is_code or field.kind.is_vector, categories)


def _numbers(name: str, given: ArrayLike) -> tuple[Values, NDArray[np.uint8]]:
    if isinstance(given, np.ma.MaskedArray):
        given = np.where(np.ma.getmaskarray(given), np.nan, given.astype(np.float64).data)
    array = np.asarray(given)
    try:
        if array.dtype == object:
            array = np.array([np.nan if value is None else value for value in array])
        values = array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"column {name!r} holds what is not a number: {error}") from error
    if values.ndim != 1:
        raise ValueError(f"column {name!r} has {values.ndim} dimensions, expected 1")
    return values, np.where(np.isnan(values), MISSING, OK).astype(np.uint8)


def _texts(given: NDArray[Any], categories: tuple[str, ...]) -> tuple[Values, NDArray[np.uint8]]:
    """Return the codes of known texts, or the lengths of free ones."""
    codes = {text: float(code) for code, text in enumerate(categories)}
    values, status = np.full(len(given), np.nan), np.zeros(len(given), dtype=np.uint8)
    for row, text in enumerate(given):
        if text is None or text != text:
            status[row] = MISSING
        elif not codes:
            values[row] = len(text)
        elif text in codes:
            values[row] = codes[text]
        else:
            values[row], status[row] = -2.0, UNSEEN
    return values, status


def _describe(field: Field, column: Column, bins: int) -> FieldReference:
    if column.is_category:
        return FieldReference(
            field.name, "category", categories=column.categories, monitored=field.monitored
        )
    present = column.values[(column.status == OK) & np.isfinite(column.values)]
    if len(present) == 0:
        return FieldReference(field.name, "numeric", monitored=field.monitored)
    median, tie = median_and_tie(present, SIGN_UNIT)
    scale = max(float(np.abs(present).max()), 1e-300)
    return FieldReference(
        field.name,
        "numeric",
        edges=choose_edges(present, bins),
        mean=float((present / scale).mean()) * scale,
        variance=_variance(present, scale),
        minimum=float(present.min()),
        maximum=float(present.max()),
        median=median + 0.0,
        tie_sign=tie,
        monitored=field.monitored,
        unit=field.unit or "",
    )


def _variance(values: Values, scale: float) -> float:
    """Return the variance, at most the largest float, computed so that nothing overflows."""
    deviation = float((values / scale).std())
    return float(min(deviation * scale, 1e154) ** 2)


def _number_blocks(blocks: ArrayLike | None, rows: int) -> tuple[NDArray[np.int64] | None, float]:
    if blocks is None:
        return None, 0.0
    ids = np.asarray(blocks)
    if ids.shape != (rows,):
        raise ValueError(f"blocks have shape {ids.shape}, expected ({rows},)")
    known, numbers = np.unique(ids, return_inverse=True)
    return numbers.astype(np.int64), rows / max(len(known), 1)


def _choose_pairs(
    pairs: Pairs, reference: Reference, read: Mapping[str, Column]
) -> tuple[PairReference, ...]:
    names = [one.name for one in reference.fields if one.edges and one.variance > 0]
    if not isinstance(pairs, str):
        wanted = [(first, second) for first, second in pairs]
        names = list(dict.fromkeys(name for pair in wanted for name in pair))
    elif pairs not in ("auto", "all", "none"):
        raise ValueError(f"pairs is {pairs!r}, expected 'auto', 'all', 'none' or pairs of names")
    if pairs == "none" or len(names) < 2:
        return ()
    matrix = _correlations([(reference.fields[reference.index(one)], read[one]) for one in names])
    found = {
        (names[first], names[second]): float(matrix[first, second])
        for first in range(len(names))
        for second in range(first + 1, len(names))
    }
    if not isinstance(pairs, str):
        flipped = {(second, first): value for (first, second), value in found.items()}
        return tuple(
            PairReference(*pair, correlation=(found | flipped).get(pair, 0.0)) for pair in wanted
        )
    kept = sorted(found, key=lambda pair: -abs(found[pair]))
    kept = sorted(kept[: len(kept) if pairs == "all" else AUTO_PAIRS], key=list(found).index)
    return tuple(PairReference(*pair, correlation=found[pair]) for pair in kept)


def _correlations(columns: list[tuple[FieldReference, Column]]) -> Values:
    """Correlate standard scores, clamped as in a window, with 0 for what is absent."""
    scores = []
    for one, column in columns:
        spread = one.variance**0.5 or 1.0
        present = (column.status == OK) & ~np.isnan(column.values)
        with np.errstate(invalid="ignore", over="ignore"):
            score = np.clip((column.values - one.mean) / spread, -16, 16)
        scores.append(np.where(present, score, 0.0))
    with np.errstate(invalid="ignore", divide="ignore"):
        matrix: Values = np.nan_to_num(np.corrcoef(np.array(scores)))
    return matrix


def _count(reference: Reference, read: list[Column]) -> Reference:
    """Let a window count the rows, so that reference and production are counted alike."""
    codes = [index for index, column in enumerate(read) if column.is_category]
    arrays: list[NDArray[Any]] = [
        np.where(np.isnan(column.values), 0, column.values).astype(np.int32)
        if column.is_category
        else np.ascontiguousarray(column.values)
        for column in read
    ]
    window = Window(reference)
    if read:
        window.update_columns(Columns(arrays, [column.status for column in read], codes))
    cells = window.read_cells()
    return reference.with_counts(
        [one.tolist() for one in cells.fields], [one.tolist() for one in cells.pairs]
    )


def _with_effects(
    reference: Reference, read: Mapping[str, Column], blocks: NDArray[np.int64]
) -> Reference:
    fields = tuple(
        replace(one, design_effect=_field_effect(one, read[one.name], blocks))
        for one in reference.fields
    )
    signs: dict[str, Values] = {}
    for pair in reference.pairs:
        for name in (pair.first, pair.second):
            if name not in signs:
                one, column = reference.fields[reference.index(name)], read[name]
                sign = np.sign(column.values - one.median)
                sign[column.values == one.median] = one.tie_sign
                signs[name] = np.where(column.status == OK, sign, np.nan)
    pairs = tuple(
        replace(pair, design_effect=values_effect(signs[pair.first] * signs[pair.second], blocks))
        for pair in reference.pairs
    )
    return replace(reference, fields=fields, pairs=pairs)


def _field_effect(one: FieldReference, column: Column, blocks: NDArray[np.int64]) -> float:
    ordered = one.bins + 2 if one.kind == "numeric" else 0
    cells = cells_of(one, column.values, column.status)
    return cells_effect(cells, blocks, one.cells, ordered=ordered)


def cells_of(one: FieldReference, values: Values, status: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the cell of each row, by NumPy; a window's loops give the same."""
    missing = status == MISSING
    if one.kind == "category":
        known = (status == OK) & ~((values < 0) | (values >= one.bins))
        cells = np.where(known, np.nan_to_num(values), one.bins).astype(np.int64)
        invalid = status == INVALID
    else:
        missing = missing | ((status == OK) & np.isnan(values))
        invalid = (status == INVALID) | (status == UNSEEN)
        cells = np.searchsorted(np.array(one.edges), values, side="right")
        if one.edges:
            cells[values == one.edges[-1]] = one.bins
    return np.where(missing, one.missing_cell, np.where(invalid, one.invalid_cell, cells))
