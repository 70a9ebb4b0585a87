"""The fingerprint of a dataset: one name for a multiset of rows.

The same rows give the same fingerprint in whatever order, in however many files, in CSV, Parquet or
memory. Each row is written in a canonical form and hashed (BLAKE2b, 256 bits); the fingerprint is
the SHA-256 of the sorted row hashes and of the column names. Sorting makes it independent of the
order and keeps the collision resistance of the hash: an equal fingerprint for other rows is a
collision of SHA-256 or BLAKE2b. Adding the row hashes up modulo 2^256 would need no sorting, but
collisions of such sums cost about 2^32 steps (Wagner, "A Generalized Birthday Problem", 2002), and
sums wide enough to be safe (Bellare and Micciancio, 1997) take 2 kB of hash a row. Sorted hashes
take 32 bytes of memory a row.

What counts as the same value: 5 and 5.0 (a column of whole numbers becomes one of floats where
values are missing); null and NaN; 0.0 and −0.0; equal instants in whatever unit and time zone (one
without a zone is taken as UTC). Text is compared by its code points, numbers by their 64 bits. A
missing text is not a missing number: a column without any value counts as its declared type.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gnomon.runtime.errors import Fault, GnomonError

__all__ = ["DatasetError", "fingerprint", "row_hashes"]

HASH_BYTES = 32
SCHEME = "rows-1"

_BATCH_ROWS = 1 << 16
#: The tag tells a cell's width, so that no two different rows are written alike.
_MISSING, _INTEGER, _FLOAT, _TEXT, _BOOL, _INSTANT, _MISSING_TEXT = range(7)


class DatasetError(GnomonError):
    """A dataset cannot be read, fingerprinted or split as was asked."""

    fault: ClassVar[Fault] = Fault.CALLER
    code: ClassVar[str] = "configuration"


def row_hashes(table: pa.Table) -> NDArray[np.void]:
    """Return one hash of 32 bytes a row, in the table's order.

    Columns are taken in the order of their names.

    Raises:
        DatasetError: where a column holds what is neither number, text, bool nor time, or where two
            columns bear one name.
    """
    names = sorted(table.column_names)
    if len(set(names)) != len(names):
        raise DatasetError(f"column names must differ, got: {', '.join(names)}")
    parts = [
        _hash_batch([(name, batch.column(name)) for name in names], batch.num_rows)
        for batch in table.to_batches(max_chunksize=_BATCH_ROWS)
    ]
    return np.concatenate(parts) if parts else np.empty(0, dtype=f"V{HASH_BYTES}")


def fingerprint(column_names: Iterable[str], hashes: NDArray[np.void]) -> str:
    """Return `rows-1:` and 64 hexadecimal digits for the multiset of rows with these hashes."""
    total = hashlib.sha256()
    for name in sorted(column_names):
        total.update(len(name.encode()).to_bytes(8, "little") + name.encode())
    total.update(len(hashes).to_bytes(8, "little"))
    words = np.ascontiguousarray(hashes).view(">u8").reshape(-1, HASH_BYTES // 8)
    order = np.lexsort(words.T[::-1])
    total.update(words[order].tobytes())
    return f"{SCHEME}:{total.hexdigest()}"


def _hash_batch(columns: Sequence[tuple[str, pa.Array]], rows: int) -> NDArray[np.void]:
    encoded = [_encode(name, column) for name, column in columns]
    matrix = np.concatenate([np.empty((rows, 0), np.uint8), *encoded], axis=1)
    width, data = matrix.shape[1], matrix.tobytes()
    digests = b"".join(
        hashlib.blake2b(data[start : start + width], digest_size=HASH_BYTES).digest()
        for start in range(0, rows * width, width or 1)
    )
    return np.frombuffer(digests, dtype=f"V{HASH_BYTES}")


def _encode(name: str, column: pa.Array) -> NDArray[np.uint8]:
    """Return the column's canonical form: a tag byte and a fixed number of bytes a row."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _encode(name, column.dictionary_decode())
    if pa.types.is_null(kind):
        return _tagged(_MISSING, np.zeros((len(column), 8), np.uint8), None)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return _encode_text(column)
    present = np.asarray(pc.is_valid(column))
    if pa.types.is_boolean(kind):
        return _tagged(_BOOL, _bytes(_plain(column, pa.int8()).astype("<i8")), present)
    if pa.types.is_integer(kind):
        return _encode_integers(column, present)
    if pa.types.is_floating(kind):
        return _encode_floats(_plain(column, pa.float64()), present)
    if pa.types.is_temporal(kind) and not pa.types.is_duration(kind) and not pa.types.is_time(kind):
        return _tagged(_INSTANT, _bytes(_instants(name, column).astype("<i8")), present)
    raise DatasetError(
        f"column {name!r} is of type {kind}; a fingerprint takes numbers, text, bools and times"
    )


def _encode_integers(column: pa.Array, present: NDArray[np.bool_]) -> NDArray[np.uint8]:
    if pa.types.is_uint64(column.type):
        values = _plain(column, pa.uint64())
        if (values[present] > np.iinfo(np.int64).max).any():
            raise DatasetError("whole numbers above 2**63 - 1 cannot be fingerprinted")
        return _tagged(_INTEGER, _bytes(values.astype("<i8")), present)
    return _tagged(_INTEGER, _bytes(_plain(column, pa.int64()).astype("<i8")), present)


def _encode_floats(values: NDArray[Any], present: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Write whole numbers as integers do, so that the same data in another type is the same."""
    present = present & ~np.isnan(values)
    whole = present & (np.abs(values) < 2.0**63) & (values == np.trunc(values))
    body = _bytes(values.astype("<f8"))
    body[whole] = _bytes(values[whole].astype("<i8"))
    encoded = _tagged(_FLOAT, body, present)
    encoded[whole, 0] = _INTEGER
    return encoded


def _encode_text(column: pa.Array) -> NDArray[np.uint8]:
    """Hash each different text once; the rows hold the hashes, so that all have one width."""
    coded = column.dictionary_encode()
    texts = coded.dictionary.to_pylist()
    digests = b"".join(
        hashlib.blake2b(text.encode(), digest_size=HASH_BYTES).digest() for text in texts
    )
    table = np.frombuffer(digests or bytes(HASH_BYTES), np.uint8).reshape(-1, HASH_BYTES)
    present = np.asarray(pc.is_valid(column))
    return _tagged(_TEXT, table[_plain(coded.indices, pa.int64())], present)


def _instants(name: str, column: pa.Array) -> NDArray[Any]:
    try:
        return _plain(column.cast(pa.timestamp("ns", "UTC")), pa.int64())
    except pa.ArrowInvalid as error:
        raise DatasetError(
            f"column {name!r}: a time lies outside the years 1678 to 2261: {error}"
        ) from error


def _plain(column: pa.Array, kind: pa.DataType) -> NDArray[Any]:
    """Return the values with 0 for what is null."""
    values = column.cast(kind)
    if values.null_count:
        values = pc.fill_null(values, 0)
    return np.asarray(values)


def _bytes(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Return a writable view of 8-byte values as rows of bytes."""
    return np.array(values, copy=True).view(np.uint8).reshape(len(values), 8)


def _tagged(
    tag: int, body: NDArray[np.uint8], present: NDArray[np.bool_] | None
) -> NDArray[np.uint8]:
    encoded = np.empty((len(body), 1 + body.shape[1]), np.uint8)
    encoded[:, 0] = tag
    encoded[:, 1:] = body
    if present is not None:
        encoded[~present] = 0
        encoded[~present, 0] = _MISSING_TEXT if tag == _TEXT else _MISSING
    return encoded
