"""Rows as tables of every library, and tables of answers as rows."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

Row = dict[str, Any]


def arrays(rows: list[Row]) -> dict[str, np.ndarray[Any, Any]]:
    frame = pd.DataFrame(rows)
    return {name: frame[name].to_numpy(dtype=object, na_value=None) for name in frame}


#: Library → its table of rows.
TABLES: dict[str, Callable[[list[Row]], Any]] = {
    "pandas": lambda rows: pd.DataFrame(rows, index=[f"flight {i}" for i in range(len(rows))]),
    "pandas categories": lambda rows: pd.DataFrame(rows).astype({"carrier": "category"}),
    "pandas nullable": lambda rows: pd.DataFrame(rows).astype(
        {"distance": "Float64", "wind": "Float64"}
    ),
    "polars": lambda rows: pl.DataFrame(rows, infer_schema_length=None),
    "pyarrow": pa.Table.from_pylist,
    "pyarrow batch": pa.RecordBatch.from_pylist,
    "arrays": arrays,
}


def listed(table: Any) -> list[Row]:
    """The rows of a table of answers, NaN as None."""
    if isinstance(table, pd.DataFrame):
        table = {name: table[name].tolist() for name in table}
    elif isinstance(table, pl.DataFrame):
        table = table.to_dict(as_series=False)
    elif isinstance(table, pa.Table | pa.RecordBatch):
        table = table.to_pydict()
    columns = [[None if value != value else value for value in table[name]] for name in table]
    return [dict(zip(table, row, strict=True)) for row in zip(*columns, strict=True)]
