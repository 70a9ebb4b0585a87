"""Rows of a tensor without a value: how a request marks them, and what they become.

Texts, bools and whole numbers have no NaN, so the tensor's parameter `missing` lists its rows
without a value. Clients that have none leave it out.
"""

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

__all__ = ["mark_missing", "read_missing", "write_missing"]

_SHOWN = 80


def read_missing(text: str, rows: int) -> NDArray[np.int64]:
    """Return the numbers of the rows that the parameter lists, of shape (listed,).

    Raises:
        ValueError: it is no JSON list of numbers from 0 to rows - 1; the message shows it.
    """
    try:
        places = np.array(msgspec.json.decode(text, type=list[int]), np.int64)
    except (msgspec.DecodeError, OverflowError) as error:
        raise ValueError(text[:_SHOWN]) from error
    outside = places[(places < 0) | (places >= rows)]
    if outside.size:
        raise ValueError(f"row {outside[0]} of {rows}")
    return places


def write_missing(places: list[int]) -> str:
    """Return the parameter's text for rows without a value."""
    return msgspec.json.encode(places).decode()


def mark_missing(values: NDArray[Any], places: NDArray[np.int64]) -> NDArray[Any]:
    """Return a column whose listed rows are missing: NaN among floats, else None in objects.

    Args:
        values: of shape (rows,) or (rows, …); it is not changed.
        places: numbers of rows.
    """
    if not places.size:
        return values
    if values.dtype.kind == "f" and values.ndim == 1:
        marked = values.copy()
        marked[places] = np.nan
        return marked
    marked = np.empty(len(values), object)
    for row, value in enumerate(values if values.ndim > 1 else values.tolist()):
        marked[row] = value
    marked[places] = None
    return marked
