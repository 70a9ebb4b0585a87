"""Converts rows to columns."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def columns_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the rows' values by field; None if a row has no such field."""
    names = dict.fromkeys(name for row in rows for name in row)
    columns: dict[str, Any] = {name: [row.get(name) for row in rows] for name in names}
    for name, values in columns.items():
        shapes = {value.shape if isinstance(value, np.ndarray) else None for value in values}
        if len(shapes) == 1 and None not in shapes:
            columns[name] = np.array(values)
    return columns
