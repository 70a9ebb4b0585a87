"""Facts of a column of training data, and the field that they suggest."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from gnomon.core.fields import Kind
from gnomon.core.kinds import LARGEST_WHOLE
from gnomon.pipeline.datasets.row_encoding import DatasetError

__all__ = [
    "CATEGORIES",
    "ColumnFacts",
    "attributes",
    "column_kind",
    "describe_column",
    "is_empty",
    "merge_texts",
    "text_counts",
    "why_no_field",
]

ColumnKind = Literal["text", "bool", "int", "float"]

#: A text of more different values than this is free text, not a category.
CATEGORIES = 1000
#: Missing values may become so many times as frequent, and then this much more.
_MISSING_FACTOR, _MISSING_EXTRA = 2.0, 0.05


#: The bounds of a field are below this, and a margin widens them to the other at most.
_LARGEST_BOUND, _WIDEST_BOUND = 1e300, 9.9e299


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """Rows and missing ones; the range of numbers, or of the lengths of texts; how often each text.

    `texts` is None for numbers, and if there are more than `CATEGORIES`.
    """

    name: str
    kind: ColumnKind
    rows: int
    missing: int
    low: float = math.inf
    high: float = -math.inf
    texts: Mapping[str, int] | None = None


def column_kind(kind: pa.DataType) -> ColumnKind | None:
    """Return the kind of field for a column of this type; None if no kind fits."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return "text"
    if pa.types.is_boolean(kind):
        return "bool"
    if pa.types.is_integer(kind):
        return "int"
    return "float" if pa.types.is_floating(kind) or pa.types.is_decimal(kind) else None


def is_empty(column: pa.ChunkedArray) -> bool:
    """Say whether a column has no value but null and NaN."""
    return bool(pc.all(pc.is_null(column, nan_is_null=True), min_count=0).as_py())


def why_no_field(kind: pa.DataType) -> str:
    """Return why a column of this type makes no field, as the rest of a sentence."""
    if pa.types.is_null(kind):
        return "holds no value to derive a field from; say its kind"
    return f"is of type {kind}; a field holds numbers, texts or bools"


def describe_column(name: str, column: pa.ChunkedArray) -> ColumnFacts:
    """Return the facts of a whole column.

    Raises:
        DatasetError: its type makes no field.
    """
    kind = column_kind(column.type)
    if kind is None:
        raise DatasetError(f"column {name!r} {why_no_field(column.type)}")
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), None, column)
    missing = column.null_count
    numbers = {"text": pc.utf8_length, "bool": lambda bools: bools.cast(pa.int8())}.get(kind)
    found = pc.min_max(numbers(column) if numbers else column).as_py()
    low, high = found["min"], found["max"]
    texts = text_counts(column) if kind == "text" else None
    if low is None:
        return ColumnFacts(name, kind, len(column), missing, texts=texts)
    return ColumnFacts(name, kind, len(column), missing, float(low), float(high), texts)


def text_counts(column: pa.ChunkedArray | pa.Array) -> Mapping[str, int] | None:
    """Return the count of each text; None if there are too many for a category."""
    coded = column.dictionary_encode()
    chunks = coded.chunks if isinstance(coded, pa.ChunkedArray) else [coded]
    texts: Mapping[str, int] | None = {}
    for chunk in chunks:
        if len(chunk.dictionary) > CATEGORIES:
            return None
        counts = pc.value_counts(chunk.drop_null().indices)
        names = chunk.dictionary.to_pylist()
        found = {names[one["values"]]: one["counts"] for one in counts.to_pylist()}
        texts = merge_texts(texts, found)
    return texts


def attributes(facts: ColumnFacts, margin: float) -> dict[str, Any]:
    """Return the attributes of the field that a column suggests; see `derive_fields`.

    Raises:
        DatasetError: the column holds no value, or one that is infinite.
    """
    if facts.missing == facts.rows:
        raise DatasetError(
            f"column {facts.name!r} holds no value to derive a field from; say its kind"
        )
    share = facts.missing / facts.rows
    allowance = min(1.0, share * _MISSING_FACTOR + _MISSING_EXTRA)
    missing = {"nullable": True, "missing_allowance": round(allowance, 3)} if share else {}
    return _attributes_of_kind(facts, margin) | missing


def _attributes_of_kind(facts: ColumnFacts, margin: float) -> dict[str, Any]:
    if facts.kind == "text":
        if facts.texts is not None:
            return {"kind": Kind.CATEGORY, "allowed": tuple(sorted(facts.texts))}
        return {"kind": Kind.STRING, "maximum_length": 2 * int(facts.high)}
    if facts.kind == "bool":
        return {"kind": Kind.BOOL}
    low, high = _range(facts, margin)
    # A column whose whole numbers float64 may round is no integer field, which never rounds.
    if facts.kind == "int" and max(-facts.low, facts.high) <= LARGEST_WHOLE:
        return {"kind": Kind.INT64, "minimum": math.floor(low), "maximum": math.ceil(high)}
    return {"kind": Kind.FLOAT64, "minimum": low, "maximum": high}


def _range(facts: ColumnFacts, margin: float) -> tuple[float, float]:
    low, high = facts.low, facts.high
    for bound in (low, high):
        if not abs(bound) < _LARGEST_BOUND:
            what = "infinite values" if math.isinf(bound) else f"the value {bound!r}"
            raise DatasetError(
                f"column {facts.name!r} has {what}, so it has no range; a field's values are "
                "below 1e300. Clean it first"
            )
    width = margin * (high - low)
    return (
        max(low - width, 0.0 if low >= 0 else -_WIDEST_BOUND),
        min(high + width, 0.0 if high <= 0 else _WIDEST_BOUND),
    )


def merge_texts(
    one: Mapping[str, int] | None, other: Mapping[str, int] | None
) -> Mapping[str, int] | None:
    """Return the count of each text in both; None if there are too many."""
    if one is None or other is None:
        return None
    merged = dict(one)
    for text, count in other.items():
        merged[text] = merged.get(text, 0) + count
    return merged if len(merged) <= CATEGORIES else None
