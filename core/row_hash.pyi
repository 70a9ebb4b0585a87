"""BLAKE2b-256 of rows written in fixed width, and their hashes in order."""

import numpy as np
from numpy.typing import NDArray

def hash_rows(rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Give the hashes `(N, 32)` of messages `(N, width)`."""

def hash_texts(data: NDArray[np.uint8], offsets: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Give the hashes of the messages data[offsets[i] … offsets[i + 1]].

    Raises `ValueError` for offsets that leave the data.
    """

def sort_rows(hashes: NDArray[np.uint8], skip: int = 0) -> NDArray[np.uint8]:
    """Give hashes `(N, 32)` in the order of their bytes; all agree in the leading `skip` bits.

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
    """Write a column into the rows' bytes from `at` on: a tag byte, then eight bytes.

    What is not present becomes the tag `absent` and zeros. Raises `ValueError` for other lengths.
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
    """Write a column of floats; those without a fraction as integers, with the tag `whole`."""

def write_hashes(
    rows: NDArray[np.uint8],
    at: int,
    hashes: NDArray[np.uint8],
    codes: NDArray[np.int64],
    present: NDArray[np.uint8],
    tag: int,
    absent: int,
) -> None:
    """Write a column of texts: a tag byte, then the hash that the row's code names.

    Raises `ValueError` for other lengths, or a code that names none.
    """
