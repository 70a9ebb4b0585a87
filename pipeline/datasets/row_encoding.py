"""Rows in canonical form: bytes that are equal exactly if the rows count as the same.

Each cell is a tag byte and a fixed number of bytes, in the order of the columns' names. The tag
implies a cell's width, so that no two different rows have the same bytes. Equality of values is
defined in `gnomon.pipeline.datasets.fingerprint`.
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gnomon.core.row_hash import hash_texts, write_hashes, write_reals, write_words
from gnomon.pipeline.datasets.exact_numbers import exact_numbers
from gnomon.runtime.errors import Fault, GnomonError

__all__ = ["DatasetError", "encode_rows", "wide_cells"]

# The tags up to 6 are of the first release; fingerprints that were given out depend on them.
_MISSING, _INTEGER, _FLOAT, _TEXT, _BOOL, _INSTANT, _MISSING_TEXT = range(7)
_NUMBER_TEXT, _TIME, _BYTES, _MISSING_BYTES = range(7, 11)
#: The first of four tags, by unit; the instants that nanoseconds hold have the old tag.
_COARSE_INSTANT, _DURATION = 16, 20
_WORD_BYTES, _HASH_BYTES = 1 + 8, 1 + 32
#: Units of time, finest first, with their nanoseconds.
_UNITS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
#: So many texts are looked at to tell whether they recur.
_HEAD = 512

Bytes = NDArray[np.uint8]
#: Writes a column into the rows' bytes from a position on.
Writer = Callable[[Bytes, int], None]


class DatasetError(GnomonError):
    """A dataset cannot be read, fingerprinted or split as was asked."""

    fault: ClassVar[Fault] = Fault.CALLER
    code: ClassVar[str] = "configuration"


def encode_rows(columns: Sequence[tuple[str, pa.Array]], rows: int) -> Bytes:
    """Return the canonical form `(rows, width)` of columns, written in the order given.

    The numbers of a column are all wide, or none is: see `wide_cells`.

    Raises:
        DatasetError: if a column holds what is neither number, text, bytes, bool nor time.
    """
    cells = [_cell(name, column) for name, column in columns]
    encoded = np.empty((rows, sum(width for width, _ in cells)), np.uint8)
    at = 0
    for width, write in cells:
        write(encoded, at)
        at += width
    return encoded


def wide_cells(column: pa.Array) -> NDArray[np.bool_] | None:
    """Return which numbers are written as texts, since no int64 or float64 is the same number.

    None if none is: their cells are wider than those of other numbers.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        return wide_cells(column.dictionary_decode())
    if not (pa.types.is_uint64(kind) or pa.types.is_decimal(kind)):
        return None
    found = exact_numbers(column)
    return None if found.texts is None else found.is_wide


def _cell(name: str, column: pa.Array) -> tuple[int, Writer]:
    """Return the width of a column's cells and the function that writes them."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _cell(name, column.dictionary_decode())
    present = np.asarray(pc.is_valid(column)).view(np.uint8)
    if pa.types.is_null(kind):
        return _words(np.zeros(len(column), np.int64), present, _MISSING)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return _text(column, present, _TEXT, _MISSING_TEXT)
    if pa.types.is_boolean(kind):
        return _words(_plain(column, pa.int8()).astype(np.int64), present, _BOOL)
    if pa.types.is_uint64(kind) or pa.types.is_decimal(kind):
        return _exact(column, present)
    if pa.types.is_integer(kind):
        return _words(_plain(column, pa.int64()), present, _INTEGER)
    if pa.types.is_floating(kind):
        return _reals(_plain(column, pa.float64()), present)
    if pa.types.is_time(kind):
        return _words(_ticks(column) * _UNITS[kind.unit], present, _TIME)
    if pa.types.is_duration(kind):
        return _moments(_ticks(column), kind.unit, present, _DURATION, _DURATION)
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        if pa.types.is_date(kind):
            column = column.cast(pa.timestamp("s" if kind == pa.date32() else "ms"))
        return _moments(_ticks(column), column.type.unit, present, _INSTANT, _COARSE_INSTANT)
    if _is_binary(kind):
        return _text(column.cast(pa.large_binary()), present, _BYTES, _MISSING_BYTES)
    raise DatasetError(
        f"column {name!r} is of type {kind}; a fingerprint takes numbers, text, bytes, bools and "
        "times"
    )


def _is_binary(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind)
        or pa.types.is_binary_view(kind)
    )


def _words(values: NDArray[np.int64], present: Bytes, tag: int) -> tuple[int, Writer]:
    words = np.ascontiguousarray(values, "<i8").view(np.uint64)
    return _WORD_BYTES, lambda rows, at: write_words(rows, at, words, present, tag, _MISSING)


def _reals(values: NDArray[np.float64], present: Bytes) -> tuple[int, Writer]:
    values = np.ascontiguousarray(values)
    return _WORD_BYTES, lambda rows, at: write_reals(
        rows, at, values, present, _INTEGER, _FLOAT, _MISSING
    )


def _exact(column: pa.Array, present: Bytes) -> tuple[int, Writer]:
    """Write numbers that count as some int64 or float64 as these are; others as texts."""
    found = exact_numbers(column)
    if found.texts is not None:
        return _text(found.texts, present, _NUMBER_TEXT, _MISSING)
    tags = np.where(found.is_float, _FLOAT, _INTEGER).astype(np.uint8)
    return _tagged(found.words, present, tags)


def _moments(
    ticks: NDArray[np.int64], unit: str, present: Bytes, finest: int, coarse: int
) -> tuple[int, Writer]:
    """Write each instant or duration in the finest unit in which int64 holds it."""
    values, tags = ticks, np.full(len(ticks), coarse + list(_UNITS).index(unit), np.uint8)
    is_done = np.zeros(len(ticks), np.bool_)
    for position, (name, size) in enumerate(_UNITS.items()):
        if name == unit:
            break
        factor = _UNITS[unit] // size
        limit = np.iinfo(np.int64).max // factor
        fits = ~is_done & (ticks <= limit) & (ticks >= -limit)
        values = np.where(fits, ticks * np.where(fits, factor, 1), values)
        tags = np.where(fits, np.uint8(coarse + position), tags)
        is_done |= fits
    return _tagged(values, present, np.where(tags == coarse, np.uint8(finest), tags))


def _tagged(values: NDArray[np.int64], present: Bytes, tags: Bytes) -> tuple[int, Writer]:
    """Write words whose tags differ from row to row."""
    words = np.ascontiguousarray(values, "<i8").view(np.uint64)
    kept = np.where(present.view(np.bool_), tags, np.uint8(_MISSING))

    def write(rows: Bytes, at: int) -> None:
        write_words(rows, at, words, present, _INTEGER, _MISSING)
        rows[:, at] = kept

    return _WORD_BYTES, write


def _text(column: pa.Array, present: Bytes, tag: int, missing: int) -> tuple[int, Writer]:
    """Write hashes of texts, so that all have one width; recurring texts are hashed once."""
    head = column[:_HEAD]
    if 2 * len(head.unique()) > len(head):
        empty = b"" if pa.types.is_large_binary(column.type) else ""
        hashes = _text_hashes(pc.fill_null(column, empty) if column.null_count else column)
        codes = np.arange(len(column), dtype=np.int64)
    else:
        coded = column.dictionary_encode()
        hashes, codes = _text_hashes(coded.dictionary), _plain(coded.indices, pa.int64())
    return _HASH_BYTES, lambda rows, at: write_hashes(
        rows, at, hashes, codes, present, tag, missing
    )


def _text_hashes(column: pa.Array) -> Bytes:
    texts = column.cast(pa.large_binary())
    _, offsets, data = texts.buffers()
    ends = np.frombuffer(offsets, np.int64, len(texts) + 1, 8 * texts.offset) if offsets else [0]
    return hash_texts(np.frombuffer(data or b"", np.uint8), np.asarray(ends, np.int64))


def _ticks(column: pa.Array) -> NDArray[np.int64]:
    """Return times in their own unit."""
    is_short = pa.types.is_time32(column.type)
    return _plain(column.cast(pa.int32()) if is_short else column, pa.int64())


def _plain(column: pa.Array, kind: pa.DataType) -> NDArray[Any]:
    """Return the values with 0 for null."""
    values = column.cast(kind)
    if values.null_count:
        values = pc.fill_null(values, 0)
    return np.asarray(values)
