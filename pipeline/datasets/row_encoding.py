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
from gnomon.runtime.errors import Fault, GnomonError

__all__ = ["DatasetError", "encode_rows"]

_MISSING, _INTEGER, _FLOAT, _TEXT, _BOOL, _INSTANT, _MISSING_TEXT = range(7)
_WORD_BYTES, _HASH_BYTES = 1 + 8, 1 + 32
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

    Raises:
        DatasetError: if a column holds what is neither number, text, bool nor time.
    """
    cells = [_cell(name, column) for name, column in columns]
    encoded = np.empty((rows, sum(width for width, _ in cells)), np.uint8)
    at = 0
    for width, write in cells:
        write(encoded, at)
        at += width
    return encoded


def _cell(name: str, column: pa.Array) -> tuple[int, Writer]:
    """Return the width of a column's cells and the function that writes them."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _cell(name, column.dictionary_decode())
    present = np.asarray(pc.is_valid(column)).view(np.uint8)
    if pa.types.is_null(kind):
        return _words(np.zeros(len(column), np.int64), present, _MISSING)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return _text(column, present)
    if pa.types.is_boolean(kind):
        return _words(_plain(column, pa.int8()).astype(np.int64), present, _BOOL)
    if pa.types.is_integer(kind):
        return _words(_integers(column, present), present, _INTEGER)
    if pa.types.is_floating(kind):
        return _reals(_plain(column, pa.float64()), present)
    if pa.types.is_temporal(kind) and not pa.types.is_duration(kind) and not pa.types.is_time(kind):
        return _words(_instants(name, column), present, _INSTANT)
    raise DatasetError(
        f"column {name!r} is of type {kind}; a fingerprint takes numbers, text, bools and times"
    )


def _words(values: NDArray[np.int64], present: Bytes, tag: int) -> tuple[int, Writer]:
    words = np.ascontiguousarray(values, "<i8").view(np.uint64)
    return _WORD_BYTES, lambda rows, at: write_words(rows, at, words, present, tag, _MISSING)


def _reals(values: NDArray[np.float64], present: Bytes) -> tuple[int, Writer]:
    values = np.ascontiguousarray(values)
    return _WORD_BYTES, lambda rows, at: write_reals(
        rows, at, values, present, _INTEGER, _FLOAT, _MISSING
    )


def _text(column: pa.Array, present: Bytes) -> tuple[int, Writer]:
    """Write hashes of texts, so that all have one width; recurring texts are hashed once."""
    head = column[:_HEAD]
    if 2 * len(head.unique()) > len(head):
        hashes = _text_hashes(pc.fill_null(column, "") if column.null_count else column)
        codes = np.arange(len(column), dtype=np.int64)
    else:
        coded = column.dictionary_encode()
        hashes, codes = _text_hashes(coded.dictionary), _plain(coded.indices, pa.int64())
    return _HASH_BYTES, lambda rows, at: write_hashes(
        rows, at, hashes, codes, present, _TEXT, _MISSING_TEXT
    )


def _text_hashes(column: pa.Array) -> Bytes:
    texts = column.cast(pa.large_string())
    _, offsets, data = texts.buffers()
    ends = np.frombuffer(offsets, np.int64, len(texts) + 1, 8 * texts.offset) if offsets else [0]
    return hash_texts(np.frombuffer(data or b"", np.uint8), np.asarray(ends, np.int64))


def _integers(column: pa.Array, present: Bytes) -> NDArray[np.int64]:
    if pa.types.is_uint64(column.type):
        values = _plain(column, pa.uint64())
        if (values[present.view(np.bool_)] > np.iinfo(np.int64).max).any():
            raise DatasetError("whole numbers above 2**63 - 1 cannot be fingerprinted")
        return values.astype(np.int64)
    return _plain(column, pa.int64())


def _instants(name: str, column: pa.Array) -> NDArray[np.int64]:
    try:
        return _plain(column.cast(pa.timestamp("ns", "UTC")), pa.int64())
    except pa.ArrowInvalid as error:
        raise DatasetError(
            f"column {name!r}: a time lies outside the years 1678 to 2261: {error}"
        ) from error


def _plain(column: pa.Array, kind: pa.DataType) -> NDArray[Any]:
    """Return the values with 0 for null."""
    values = column.cast(kind)
    if values.null_count:
        values = pc.fill_null(values, 0)
    return np.asarray(values)
