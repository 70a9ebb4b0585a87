"""BLAKE2b-256 of rows written in fixed width, and their hashes in order."""

import numpy as np
from numpy.typing import NDArray

def hash_rows(rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the hashes `(N, 32)` of messages `(N, width)`."""

def hash_texts(data: NDArray[np.uint8], offsets: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return the hashes of the messages data[offsets[i] … offsets[i + 1]].

    Raises `ValueError` for offsets that leave the data.
    """

def sort_rows(hashes: NDArray[np.uint8], skip: int = 0) -> NDArray[np.uint8]:
    """Return hashes `(N, 32)` in the order of their bytes; all agree in the leading `skip` bits.

    Raises `ValueError` for another width, or more than 32 bits to skip.
    """

def write_words(
    rows: NDArray[np.uint8],
    at: int,
    words: NDArray[np.uint64],
    present: NDArray[np.uint8],
    tag: int,
    absent: int,
) -> None:
    """Write a column of integers: for each row a tag byte, then eight bytes.

    Args:
        rows: the rows' bytes `(N, width)`, written from byte `at` on.
        at: offset of the column in a row.
        words: uint64 `(N,)`.
        present: uint8 `(N,)`, 1 if the row has a value; else `absent` and zeros are written.
        tag: tag byte of a value.
        absent: tag byte of a missing one.

    Raises:
        ValueError: lengths differ, or the column does not fit into the rows.
    """

def write_reals(
    rows: NDArray[np.uint8],
    at: int,
    values: NDArray[np.float64],
    present: NDArray[np.uint8],
    whole: int,
    fraction: int,
    absent: int,
) -> None:
    """Write a column of floats; those without a fraction as integers.

    Args:
        rows, at, present, absent: as in `write_words`.
        values: float64 `(N,)`.
        whole: tag byte of a value without a fraction.
        fraction: tag byte of another value.

    Raises:
        ValueError: lengths differ, or the column does not fit into the rows.
    """

def write_hashes(
    rows: NDArray[np.uint8],
    at: int,
    hashes: NDArray[np.uint8],
    codes: NDArray[np.int64],
    present: NDArray[np.uint8],
    tag: int,
    absent: int,
) -> None:
    """Write a column of texts: for each row a tag byte, then the hash of its code.

    Args:
        rows, at, present, tag, absent: as in `write_words`.
        hashes: uint8 `(texts, 32)`.
        codes: int64 `(N,)`, the row of `hashes` for each row.

    Raises:
        ValueError: lengths differ, or a code has no hash.
    """
