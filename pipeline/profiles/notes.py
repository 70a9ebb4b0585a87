"""What a profile does not show: columns that are left out, renamed, or hold numbers as texts."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from gnomon.core.fields import Field
from gnomon.pipeline.datasets.column_facts import column_kind, why_no_field
from gnomon.pipeline.datasets.pieces import Piece
from gnomon.runtime.packages.column_names import field_names

__all__ = ["profile_notes"]

#: With at least this share of numbers, a column of texts is probably one of numbers.
_MIXED_SHARE = 0.5
_SHOWN = 3
_NUMBER = r"^\s*[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?\s*$"


def profile_notes(pieces: Sequence[Piece], fields: Sequence[Field], block: str = "") -> list[str]:
    """Return a sentence for each column that is left out, renamed, or a mix of numbers and texts.

    Texts are examined in the first rows.
    """
    schema = pieces[0].schema
    names = dict(zip(schema.names, field_names(schema.names), strict=True))
    kept = {one.name for one in fields}
    notes = []
    for column, name in names.items():
        if column == block:
            continue
        if name not in kept:
            notes.append(_why_left_out(schema.field(column)))
        elif name != column:
            notes.append(f"column {column!r} is the field {name}")
    return notes + _mixed(pieces, [one for one in names if names[one] in kept])


def _why_left_out(column: pa.Field) -> str:
    if column_kind(column.type) is None and not pa.types.is_null(column.type):
        return f"column {column.name!r} is left out: it {why_no_field(column.type)}"
    return f"column {column.name!r} is left out: it holds no value"


def _mixed(pieces: Sequence[Piece], columns: Sequence[str]) -> list[str]:
    schema = pieces[0].schema
    texts = [name for name in columns if column_kind(schema.field(name).type) == "text"]
    first = next((batch for piece in pieces for batch in piece.batches()), None)
    if first is None or not texts:
        return []
    found = ((name, _other_texts(first.column(name))) for name in texts)
    return [
        f"column {name!r} is read as texts, but {share:.3g} % of its values look like numbers"
        + (f"; others are {', '.join(map(repr, others))}" if others else "")
        for name, (share, others) in found
        if share >= 100 * _MIXED_SHARE
    ]


def _other_texts(column: pa.Array) -> tuple[float, list[str]]:
    """Return the share of numbers in percent, and some of the other texts."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    present = column.drop_null()
    is_number = pc.match_substring_regex(present, _NUMBER)
    count = pc.sum(is_number).as_py() or 0
    others = pc.unique(present.filter(pc.invert(is_number)))[:_SHOWN].to_pylist()
    return 100 * count / max(len(present), 1), others
