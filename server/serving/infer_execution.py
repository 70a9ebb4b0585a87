"""Predictions from columns to columns: for all rows of a request, or for the valid ones only.

A partial answer rejects the invalid rows, counts them as refused, and answers the others. An output
keeps a value for each row: NaN, 0, false or an empty text for a rejected one.
"""

import contextlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from gnomon.core.contract.violations import Violations
from gnomon.runtime.decoding import UNREADABLE
from gnomon.runtime.errors import InvalidInput
from gnomon.runtime.models.model import Model
from gnomon.runtime.models.refusals import describe
from gnomon.runtime.packages.manifest import TensorSpec
from gnomon.runtime.prediction import Prediction, Predictions, row_ids
from gnomon.runtime.raw_tensors import ELEMENT_TYPES
from gnomon.runtime.runtime import Runtime

Columns = Mapping[str, NDArray[Any]]

#: Most broken rules that an answer reports, as over REST.
BROKEN_LIMIT = 1_000


class InferResult(NamedTuple):
    """An answer with its outputs as columns.

    `refused` has an entry for each broken rule of the rejected rows. `ids` has the id of each row,
    by which labels are joined. Both are None if the rows were answered as a whole.
    """

    answer: Prediction | Predictions
    outputs: Columns
    refused: list[dict[str, Any]] | None = None
    ids: list[str | None] | None = None


def infer(
    runtime: Runtime, route: str, columns: Columns, options: Mapping[str, Any]
) -> InferResult:
    """Answer all rows; one row by the way for rows, which is many times quicker.

    `options` are those of `Runtime.predict_columns`. Raises as it does.

    Args:
        runtime: answers the rows.
        route: the route's name.
        columns: field → array of shape (rows,) or (rows, width).
        options: keywords of `Runtime.predict_columns`.
    """
    if not columns or any(len(values) != 1 for values in columns.values()):
        answers = runtime.predict_columns(route, columns, **options)
        return InferResult(answers, answers.outputs)
    row = {
        name: values.item() if values.ndim == 1 else values[0] for name, values in columns.items()
    }
    answer = runtime.predict(route, row, **options)
    return InferResult(answer, {name: _column(value) for name, value in answer.outputs.items()})


def infer_partial(
    runtime: Runtime, route: str, columns: Columns, options: Mapping[str, Any]
) -> InferResult:
    """Answer the good rows and mark the bad ones; otherwise as `infer`.

    Args:
        runtime: answers the rows.
        route: the route's name.
        columns: field → array of shape (rows,) or (rows, width).
        options: keywords of `Runtime.predict_columns`.
    """
    identity = options.get("request_id") or secrets.token_hex(8)
    # One version must check and answer all rows, so the bucket is chosen only once.
    key = options.get("key")
    options = {**options, "request_id": identity, "key": identity if key is None else key}
    model = runtime.model_of(route, options["key"], options.get("version", ""))
    rows = len(next(iter(columns.values()), ()))
    violations = _check(model, columns)
    if not rows or violations is None or not violations.rejected:
        found = infer(runtime, route, columns, options)
        return found._replace(refused=[], ids=[*row_ids(identity, rows)])
    bad = violations.rejected_rows(rows)
    refused = [describe(one) for one in violations.describe(BROKEN_LIMIT) if bad[one.row]]
    with contextlib.suppress(InvalidInput):
        refused_options = {**options, "request_id": f"{identity}/refused"}
        runtime.predict_columns(route, _rows(columns, bad), **refused_options)
    if bad.all():
        return InferResult(_nothing(model, identity), _blank(model, rows), refused, [None] * rows)
    good = infer(runtime, route, _rows(columns, ~bad), options)
    return _placed(good, np.flatnonzero(~bad).tolist(), rows, refused)


def _check(model: Model, columns: Columns) -> Violations | None:
    try:
        return model.inputs.check_columns(columns)[1]
    except UNREADABLE:
        return None


def _rows(columns: Columns, mask: NDArray[np.bool_]) -> Columns:
    return {name: values[mask] for name, values in columns.items()}


def _placed(
    good: InferResult, places: Sequence[int], rows: int, refused: list[dict[str, Any]]
) -> InferResult:
    """Return the answers of the good rows in the places that they had in the request."""
    answer = msgspec.structs.replace(
        good.answer,
        violations=tuple(replace(one, row=places[one.row]) for one in good.answer.violations),
    )
    outputs = {}
    for name, values in good.outputs.items():
        outputs[name] = _filled((rows, *values.shape[1:]), values.dtype)
        outputs[name][places] = values
    ids: list[str | None] = [None] * rows
    identities = row_ids(answer.request_id, len(places))
    for place, identity in zip(places, identities, strict=True):
        ids[place] = identity
    return InferResult(answer, outputs, refused, ids)


def _nothing(model: Model, identity: str) -> Predictions:
    """Return the answer of a request whose rows were all refused."""
    return Predictions(
        {}, model.name, model.version, model.digest, identity, (), None, latency_ns=0, rows=0
    )


def _blank(model: Model, rows: int) -> Columns:
    specs = model.package.manifest.signature.outputs
    return {spec.name: _filled(_shape(spec, rows), _dtype(spec)) for spec in specs}


def _shape(spec: TensorSpec, rows: int) -> tuple[int, ...]:
    inner = tuple(max(length, 1) for length in spec.shape[1:])
    return (rows,) if inner in ((), (1,)) else (rows, *inner)


def _dtype(spec: TensorSpec) -> "np.dtype[Any]":
    return np.dtype(ELEMENT_TYPES.get(spec.datatype, "O"))


def _filled(shape: tuple[int, ...], dtype: "np.dtype[Any]") -> NDArray[Any]:
    """Return a column of the values for rows without an answer."""
    missing: Any = np.nan if dtype.kind == "f" else None if dtype.kind == "O" else 0
    return np.full(shape, missing, dtype)


def _column(value: Any) -> NDArray[Any]:
    """Return one row's value as a column; whole numbers stay exact."""
    column = np.array([value], object if isinstance(value, str | None) else None)
    if column.dtype.kind == "f" and type(_first(value)) is int:
        # NumPy has no common integer for numbers of both halves of uint64's range.
        return np.array([value], object)
    return column


def _first(value: Any) -> Any:
    """Return the first element of nested lists, or an empty list."""
    while isinstance(value, list) and value:
        value = value[0]
    return value
