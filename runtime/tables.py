"""Tables of other libraries as columns, and columns as a table of the caller's kind.

No library is imported here: a caller who passes a table has imported its library already.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gnomon.runtime.errors import InvalidInput

__all__ = [
    "TABLES",
    "Columns",
    "Remark",
    "TableColumn",
    "build_answers",
    "build_table",
    "is_table",
    "read_columns",
]

#: One array or list a column, all of one length.
Columns = dict[str, Any]
Text = str | None
#: A text for each row, or that of every row.
Remark = Text | list[Text]
Texts = Mapping[str, Remark]

#: What a table of answers says of each row, beside the outputs.
VERSION, FALLBACK, REFUSED = "gnomon_version", "gnomon_fallback", "gnomon_refused"

#: What a table may be, for messages.
TABLES = (
    "a pandas or polars data frame, a pyarrow table or record batch, a NumPy array, or a dict "
    "of NumPy arrays"
)


class TableColumn(Protocol):
    """What is known of a field: its name, and the shape of one value, () for a scalar."""

    @property
    def name(self) -> str:
        """Return the field's name."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the shape of one value."""


def is_table(value: Any) -> bool:
    """Whether a value holds rows as columns: what `read_columns` reads."""
    if isinstance(value, Mapping):
        return isinstance(next(iter(value.values()), None), np.ndarray)
    return isinstance(value, np.ndarray) or _kind_of(value) is not None


def read_columns(table: Any, fields: Sequence[TableColumn]) -> Columns:
    """Return a table's columns, without a copy if its library allows that.

    A missing value among numbers that are floats is NaN. A column of anything else that has missing
    values becomes a list with None, so that large whole numbers stay exact.

    Args:
        table: a pandas or polars data frame, a pyarrow table or record batch, a mapping of arrays,
            a structured array of shape (rows,), or an array of shape (rows, columns), whose
            columns are the fields in the order of the contract. If the contract has one vector
            only, an array of shape (rows, *shape) is that field.
        fields: the contract's.

    Raises:
        InvalidInput: names occur twice or are not texts, or an array does not have one column for
            each field.
    """
    if isinstance(table, Mapping):
        return dict(table)
    if isinstance(table, np.ndarray):
        return _of_array(table, fields)
    kind = _kind_of(table)
    if kind is None:
        raise InvalidInput(f"{type(table).__name__} is not a table; right would be {TABLES}")
    names, column_of, _ = _LIBRARIES[kind]
    found = list(names(table))
    for name in found:
        if not isinstance(name, str):
            raise InvalidInput(f"a column is named {name!r:.80}; a field's name is a text")
        if found.count(name) > 1:
            raise InvalidInput(f"two columns are named {name!r:.80}")
    return {name: column_of(table[name]) for name in found}


def build_answers(
    like: Any,
    outputs: Mapping[str, NDArray[Any]],
    *,
    version: Remark,
    fallback: Remark,
    refused: Remark,
) -> Any:
    """Return the answers to the rows of a table as a table of the same kind, with its index.

    Args:
        like: what `read_columns` has read.
        outputs: arrays of shape (rows,) or (rows, *shape); of a row without an answer NaN among
            floats, else None.
        version: which version answered; None: none did.
        fallback: why a fallback answered.
        refused: why the row has no answer.

    Raises:
        InvalidInput: an output has the name of a column that the table has itself.
    """
    remarks = {VERSION: version, FALLBACK: fallback, REFUSED: refused}
    if taken := outputs.keys() & remarks.keys():
        raise InvalidInput(
            f"an output of the model is named {min(taken)!r}, as a column that a table of answers "
            "has itself; right would be to predict rows"
        )
    return build_table(like, outputs, remarks)


def build_table(like: Any, columns: Mapping[str, NDArray[Any]], texts: Texts) -> Any:
    """Return columns as a table of the same kind as another, with its index if it has one.

    Args:
        like: what `read_columns` has read. Of an array or a mapping the result is a dict of arrays.
        columns: arrays of shape (rows,) or (rows, *shape); object arrays may hold None.
        texts: further columns: of each a list of texts and None, or what every row has.
    """
    kind = None if isinstance(like, Mapping | np.ndarray) else _kind_of(like)
    if kind is not None:
        return _LIBRARIES[kind][2](like, columns, texts)
    rows = _count(columns)
    return {**columns, **{name: _objects(values, rows) for name, values in texts.items()}}


def _of_array(array: NDArray[Any], fields: Sequence[TableColumn]) -> Columns:
    if array.dtype.names is not None and array.ndim == 1:
        return {name: array[name] for name in array.dtype.names}
    if len(fields) == 1 and fields[0].shape and array.shape[1:] == fields[0].shape:
        return {fields[0].name: array}
    if array.ndim != 2 or array.shape[1] != len(fields):
        shape = f"(rows, {len(fields)})"
        if len(fields) == 1 and fields[0].shape:
            shape = f"(rows, {', '.join(map(str, fields[0].shape))})"
        raise InvalidInput(f"an array has the shape {array.shape}; right would be {shape}")
    if vectors := [field.name for field in fields if field.shape]:
        raise InvalidInput(
            f"the field {vectors[0]!r} is a vector, so one array cannot hold all fields; right "
            "would be a dict of arrays"
        )
    return {field.name: array[:, place] for place, field in enumerate(fields)}


def _kind_of(value: Any) -> str | None:
    """Return the key in `_LIBRARIES` of a value's class."""
    for key in _LIBRARIES:
        library, _, name = key.partition(".")
        # Absent as long as nobody has imported the library.
        owner = getattr(sys.modules.get(library), name, None)
        if owner is not None and isinstance(value, owner):
            return key
    return None


def _count(columns: Mapping[str, NDArray[Any]]) -> int:
    return len(next(iter(columns.values())))


def _objects(values: Text | list[Text], rows: int) -> NDArray[Any]:
    array = np.empty(rows, object)
    array[:] = values
    return array


def _pandas_column(series: Any) -> Any:
    if isinstance(series.dtype, np.dtype):
        return series.to_numpy()
    if series.dtype.kind == "f":
        return series.to_numpy(dtype=np.float64, na_value=np.nan)
    if series.dtype.kind in "iub" and not series.hasnans:
        return series.to_numpy(dtype=series.dtype.numpy_dtype)
    return series.to_numpy(dtype=object, na_value=None).tolist()


def _polars_column(series: Any) -> Any:
    dtype = series.dtype
    if dtype.is_float() or (not series.null_count() and (dtype.is_numeric() or _is_bool(dtype))):
        return series.to_numpy()
    return series.to_numpy() if str(dtype).startswith("Array") else series.to_list()


def _is_bool(dtype: Any) -> bool:
    return str(dtype) == "Boolean"


def _arrow_column(column: Any) -> Any:
    is_float = str(column.type) in ("float", "double", "halffloat")
    is_number = is_float or str(column.type).startswith(("int", "uint"))
    if is_number and (is_float or not column.null_count):
        return np.asarray(column)
    return column.to_pylist()


def _build_pandas(like: Any, columns: Mapping[str, NDArray[Any]], texts: Texts) -> Any:
    pandas = sys.modules["pandas"]

    def series(values: NDArray[Any]) -> Any:
        if values.ndim > 1:
            return values.tolist()
        known = (
            {type(value) for value in values if value is not None} if values.dtype == "O" else ()
        )
        return pandas.array(values.tolist(), dtype="Int64") if known == {int} else values

    found = {name: series(values) for name, values in columns.items()}
    return pandas.DataFrame({**found, **texts}, index=like.index)


def _build_polars(like: Any, columns: Mapping[str, NDArray[Any]], texts: Texts) -> Any:
    polars = sys.modules["polars"]
    found = {
        name: values.tolist() if values.dtype == "O" else values for name, values in columns.items()
    }
    rows = _count(columns)
    further = {
        name: polars.Series(values, dtype=polars.String)
        if isinstance(values, list)
        else polars.repeat(values, rows, dtype=polars.String, eager=True)
        for name, values in texts.items()
    }
    return polars.DataFrame(found | further)


def _build_arrow(like: Any, columns: Mapping[str, NDArray[Any]], texts: Texts) -> Any:
    arrow = sys.modules["pyarrow"]
    found = {
        name: arrow.array(values if values.ndim == 1 else values.tolist())
        for name, values in columns.items()
    }
    rows, text = _count(columns), arrow.string()
    found |= {
        name: arrow.array(values, text)
        if isinstance(values, list)
        else arrow.repeat(arrow.scalar(values, text), rows)
        for name, values in texts.items()
    }
    return type(like).from_pydict(found)


def _names(table: Any) -> Any:
    return table.columns


def _arrow_names(table: Any) -> Any:
    return table.schema.names


_Library = tuple[Callable[[Any], Any], Callable[[Any], Any], Callable[..., Any]]
#: Class of a table → how to list its columns, read one, and build another table.
_LIBRARIES: dict[str, _Library] = {
    "pandas.DataFrame": (_names, _pandas_column, _build_pandas),
    "polars.DataFrame": (_names, _polars_column, _build_polars),
    "pyarrow.Table": (_arrow_names, _arrow_column, _build_arrow),
    "pyarrow.RecordBatch": (_arrow_names, _arrow_column, _build_arrow),
}
