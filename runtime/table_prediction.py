"""Rows, lists and tables: one run of the engine for all if none is refused, else one for each."""

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnomon.core.fields import Field
from gnomon.runtime.errors import InvalidInput
from gnomon.runtime.predicting.execution import RowOutcome, RowsDiffer
from gnomon.runtime.prediction import Prediction, Predictions, PredictRequest, row_ids
from gnomon.runtime.runtime import Runtime
from gnomon.runtime.tables import TABLES, Columns, build_answers, is_table, read_columns

__all__ = ["predict_any"]


def predict_any(
    runtime: Runtime,
    route: str,
    rows: Any,
    *,
    request_id: str | None = None,
    key: str | None = None,
    at: datetime | float | None = None,
) -> Any:
    """Answer one row, a list of rows, or the rows of a table; a refused row holds up no other.

    A row gives a `Prediction`. A list gives for each row its prediction or its error. A table gives
    a table of the same kind, a row for each row, all answered by one version: the outputs and three
    texts, null if there is nothing to say: `gnomon_version`, `gnomon_fallback` (why a fallback
    answered) and `gnomon_refused` (why the row has no answer).

    Args:
        runtime: answers.
        route: the public model name.
        rows: a mapping, a sequence of mappings, or what `gnomon.runtime.tables.read_columns` reads.
        request_id: row i of more than one is joined to labels by `f"{request_id}/{i}"`.
        key: whose answers stick to one target (a customer); None: by chance.
        at: the data's own time, epoch seconds or datetime (naive: UTC); None: now.

    Raises:
        InvalidInput: the rows cannot be read, a table has none, or the contract refuses a row that
            is alone.
        GnomonError: as `Runtime.predict`, but for what concerns one row of many.
    """
    if isinstance(rows, Mapping) and not _holds_columns(runtime, route, rows):
        return runtime.predict(route, rows, request_id=request_id, key=key, at=at)
    request_id = secrets.token_hex(8) if request_id is None else request_id
    if is_table(rows):
        return _predict_table(runtime, route, rows, request_id, key, at)
    if not isinstance(rows, Sequence) or not all(isinstance(row, Mapping) for row in rows):
        raise InvalidInput(
            f"{type(rows).__name__} cannot be predicted; right would be a row (value by field), a "
            f"list of rows, or {TABLES}"
        )
    return runtime.predict_rows(route, _requests(rows, request_id, key, at))


def _holds_columns(runtime: Runtime, route: str, mapping: Mapping[str, Any]) -> bool:
    """Whether a mapping holds arrays of many rows rather than the values of one."""
    if not is_table(mapping):
        return False
    fields = {field.name: field for field in runtime.model_of(route, "").columns}
    return any(
        isinstance(value, np.ndarray) and value.ndim == len(fields[name].shape) + 1
        for name, value in mapping.items()
        if name in fields
    )


def _predict_table(
    runtime: Runtime,
    route: str,
    table: Any,
    request_id: str,
    key: str | None,
    at: datetime | float | None,
) -> Any:
    # The contract must be the one of the version that answers.
    key = request_id if key is None else key
    model = runtime.model_of(route, key)
    columns = read_columns(table, model.columns)
    try:
        answers = runtime.predict_columns(
            route, columns, request_id=request_id, key=key, at=at, is_divisible=True
        )
    except RowsDiffer:
        requests = _requests(_rows_of(columns), request_id, key, at)
        outputs = model.outputs.fields
        return _table_of_outcomes(table, outputs, runtime.predict_rows(route, requests))
    return _table_of_answers(table, answers)


def _requests(
    rows: Sequence[Mapping[str, Any]],
    request_id: str,
    key: str | None,
    at: datetime | float | None,
) -> list[PredictRequest]:
    identities = row_ids(request_id, len(rows))
    return [
        PredictRequest(row, identity, key, at)
        for row, identity in zip(rows, identities, strict=True)
    ]


def _rows_of(columns: Columns) -> list[dict[str, Any]]:
    """Return the columns' rows, as values of Python."""
    listed = [
        column.tolist() if isinstance(column, np.ndarray) and column.ndim == 1 else list(column)
        for column in columns.values()
    ]
    return [dict(zip(columns, row, strict=True)) for row in zip(*listed, strict=True)]


def _table_of_answers(like: Any, answers: Predictions) -> Any:
    """Return the answers of all rows of a table as a table of the same kind."""
    return build_answers(
        like, answers.outputs, version=answers.version, fallback=answers.fallback, refused=None
    )


def _table_of_outcomes(like: Any, fields: Sequence[Field], outcomes: Sequence[RowOutcome]) -> Any:
    """Return what became of each row of a table as a table of the same kind."""
    return build_answers(
        like,
        {field.name: _column(field, outcomes) for field in fields},
        version=[one.version if isinstance(one, Prediction) else None for one in outcomes],
        fallback=[one.fallback if isinstance(one, Prediction) else None for one in outcomes],
        refused=[None if isinstance(one, Prediction) else str(one) for one in outcomes],
    )


def _column(field: Field, outcomes: Sequence[RowOutcome]) -> NDArray[Any]:
    """Return an output of all rows: NaN for floats without an answer, None for all else."""
    values = [
        one.outputs.get(field.name) if isinstance(one, Prediction) else None for one in outcomes
    ]
    if field.kind.is_float and not field.kind.is_vector:
        return np.array(values, np.float64)
    column = np.empty(len(values), object)
    column[:] = values
    return column
