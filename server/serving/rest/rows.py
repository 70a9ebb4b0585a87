"""Rows as JSON objects, one object a row, over the same runtime as tensors.

One invalid row rejects the request, unless the request allows partial answers. Then the valid rows
are answered and the others reported. Each row is counted by its own outcome.
"""

import contextlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
import numpy as np

from gnomon.core.contract.violations import Violation, expectation
from gnomon.runtime.decoding import UNREADABLE
from gnomon.runtime.errors import InvalidInput
from gnomon.runtime.models.columns import columns_of
from gnomon.runtime.models.model import Model
from gnomon.runtime.models.refusals import describe
from gnomon.runtime.prediction import Prediction, Predictions, row_ids
from gnomon.runtime.runtime import Runtime
from gnomon.server.serving.infer_execution import BROKEN_LIMIT

Row = Mapping[str, Any]


class RowAnswers(msgspec.Struct, frozen=True, kw_only=True):
    """The answers to the rows of one request, in their order; None for a rejected row.

    Attributes:
        model: the route's name.
        version: of the package that answered; empty if no row was answered, as `digest`.
        predictions: outputs by name, or None.
        ids: the id of each row, by which labels are joined, or None.
        violations: what was corrected or flagged.
        refused: the broken rules of the rejected rows, one entry each.
        fallback: why one of the route's fallbacks answered, if one did; fallback_by: which.
    """

    model: str
    version: str
    digest: str
    id: str
    predictions: list[dict[str, Any] | None]
    ids: list[str | None]
    violations: list[dict[str, Any]]
    refused: list[dict[str, Any]]
    fallback: str | None
    fallback_by: str | None = None


def predict_rows(
    runtime: Runtime,
    route: str,
    rows: Sequence[Row],
    *,
    request_id: str,
    key: str | None = None,
    at: datetime | float | None = None,
    partial: bool = False,
) -> RowAnswers:
    """Answer rows; a field that only some rows have is missing in the others, if it may be.

    Args:
        runtime: answers the rows.
        route: the route's name.
        rows: each is field → value.
        request_id: the request's; each row gets an id that is made from it.
        key: whose predictions stay with one target; None: by chance.
        at: the data's own time: epoch seconds or a datetime; None: now.
        partial: answer the good rows although others are refused.

    Raises:
        GnomonError: as `Runtime.predict_columns`; with `partial`, no `InvalidInput` for bad rows.
    """
    options: dict[str, Any] = {"key": key, "at": at}
    if not partial or not rows:
        _check_even(runtime, route, rows, request_id, options)
        return _answers(route, _ask(runtime, route, rows, request_id, options), len(rows))
    # One version must check and answer all rows, so the bucket is chosen only once.
    options["key"] = key = request_id if key is None else key
    model = runtime.model_of(route, key)
    refused, broken = _check_rows(model, rows)
    good = sorted(set(range(len(rows))).difference(refused))
    for number in refused:
        with contextlib.suppress(InvalidInput):
            runtime.predict(
                route, rows[number], request_id=f"{request_id}/refused/{number}", **options
            )
    if not good:
        return _none_answered(route, request_id, len(rows), broken)
    answer = _ask(runtime, route, [rows[number] for number in good], request_id, options)
    return _answers(route, answer, len(rows), good, broken)


def _ask(
    runtime: Runtime, route: str, rows: Sequence[Row], request_id: str, options: Mapping[str, Any]
) -> Prediction | Predictions:
    if len(rows) == 1:
        return runtime.predict(route, rows[0], request_id=request_id, **options)
    return runtime.predict_columns(route, columns_of(rows), request_id=request_id, **options)


def _check_even(
    runtime: Runtime, route: str, rows: Sequence[Row], request_id: str, options: Mapping[str, Any]
) -> None:
    """Refuse rows that lack a required field which others have: as columns, it would be missing.

    Raises:
        InvalidInput: so it is; the request was counted as refused.
    """
    if all(row.keys() == rows[0].keys() for row in rows):
        return
    given = columns_of(rows)
    required = [
        field
        for field in runtime.model_of(route, options["key"] or request_id).inputs.fields
        if field.required and field.name in given
    ]
    lacking = [
        (number, field)
        for number, row in enumerate(rows)
        for field in required
        if field.name not in row
    ]
    if not lacking:
        return
    for _, field in lacking:
        given.pop(field.name, None)
    with contextlib.suppress(InvalidInput):
        runtime.predict_columns(route, given, request_id=request_id, **options)
    number, field = lacking[0]
    raise InvalidInput(
        f"row {number}: field {field.name!r} is not there; right would be "
        f"{expectation(field, 'required')} (and {len(lacking) - 1} more)",
        details=[
            {
                "row": number,
                "field": field.name,
                "rule": "required",
                "value": None,
                "expected": expectation(field, "required"),
            }
            for number, field in lacking[:BROKEN_LIMIT]
        ],
    )


def _check_rows(model: Model, rows: Sequence[Row]) -> tuple[list[int], list[dict[str, Any]]]:
    """Return which rows the contract rejects, and why; each row is checked individually."""
    refused: list[int] = []
    broken: list[dict[str, Any]] = []
    for number, row in enumerate(rows):
        buffer = model.inputs.new_row()
        try:
            violations = model.inputs.check_row(row, buffer)
        except UNREADABLE as error:
            refused.append(number)
            broken.append(_unread(number, error))
            continue
        if violations is None or not violations.rejected:
            continue
        refused.append(number)
        room = BROKEN_LIMIT - len(broken)
        broken += [{**describe(one), "row": number} for one in violations.describe(room)]
    return refused, broken


def _unread(number: int, error: Exception) -> dict[str, Any]:
    """Return why a row cannot be read as fields."""
    expected = str(error)[:200]
    return {"row": number, "field": None, "rule": "request", "value": None, "expected": expected}


def _answers(
    route: str,
    answer: Prediction | Predictions,
    count: int,
    places: Sequence[int] | None = None,
    refused: Sequence[dict[str, Any]] = (),
) -> RowAnswers:
    """Return the answers in the places of their rows."""
    places = range(count) if places is None else places
    if isinstance(answer, Prediction):
        outputs: list[dict[str, Any]] = [answer.outputs]
    else:
        columns = {name: _listed(column) for name, column in answer.outputs.items()}
        outputs = [
            dict(zip(columns, values, strict=True))
            for values in zip(*columns.values(), strict=True)
        ]
    predictions: list[dict[str, Any] | None] = [None] * count
    ids: list[str | None] = [None] * count
    identities = row_ids(answer.request_id, len(outputs))
    for place, row, identity in zip(places, outputs, identities, strict=True):
        predictions[place], ids[place] = row, identity
    return RowAnswers(
        model=route,
        version=answer.version,
        digest=answer.digest,
        id=answer.request_id,
        predictions=predictions,
        ids=ids,
        violations=[_placed(one, places) for one in answer.violations],
        refused=list(refused),
        fallback=answer.fallback,
        fallback_by=answer.fallback_by,
    )


def _listed(column: Any) -> list[Any]:
    return column.tolist() if isinstance(column, np.ndarray) else list(column)


def _placed(violation: Violation, places: Sequence[int]) -> dict[str, Any]:
    return {**describe(violation), "row": places[violation.row]}


def _none_answered(
    route: str, request_id: str, count: int, refused: list[dict[str, Any]]
) -> RowAnswers:
    return RowAnswers(
        model=route,
        version="",
        digest="",
        id=request_id,
        predictions=[None] * count,
        ids=[None] * count,
        violations=[],
        refused=refused,
        fallback=None,
    )
