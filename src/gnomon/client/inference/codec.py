"""Converts rows to messages of the protocol and back. No I/O."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from gnomon.proto.private import inference_messages
from gnomon.runtime.errors import GnomonError, InvalidInput
from gnomon.runtime.prediction import row_ids
from gnomon.runtime.raw_tensors import TEXT, pack, unpack

Row = Mapping[str, Any]

#: What is right for a column that no tensor holds.
_ONE_KIND = "numbers, texts, bools or lists of numbers, one kind a field"
_ALL_OR_NONE = (
    "a call for the rows that have the field, and one for those that lack it; only among "
    "numbers a value may be missing"
)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer for one row.

    Attributes:
        outputs: value by the output's name: a float, an int, a text, or a list for a vector.
        version: of the package that answered.
        digest: of the package that answered.
        request_id: joins later labels to the prediction.
        violations: what was corrected or flagged in this row: field, rule, value, expected.
        fallback: why the route's fallback answered; None if the target did.
    """

    outputs: dict[str, Any]
    version: str
    digest: str
    request_id: str
    violations: tuple[dict[str, Any], ...]
    fallback: str | None


def encode(
    model: str,
    rows: Row | Sequence[Row],
    *,
    request_id: str | None = None,
    key: str | None = None,
    at: datetime | float | None = None,
) -> Any:
    """Return the request for one row or many; a field that a row lacks is missing in it.

    Args:
        model: the public model name.
        rows: one row or many: value by field; text for a category. None is missing.
            Texts, bools and vectors are missing in all rows of a call, or in none.
        request_id: the request's id; the server makes one if None.
        key: requests with the same key are answered by the same version.
        at: the data's own time, epoch seconds or datetime; None: now.

    Raises:
        InvalidInput: the values of a field differ in kind, or there are no rows.
    """
    rows = [rows] if isinstance(rows, Mapping) else rows
    if not rows:
        raise InvalidInput("there are no rows to predict; give one or more")
    request = inference_messages()["ModelInferRequest"](model_name=model, id=request_id or "")
    if key is not None:
        request.parameters["key"].string_param = key
    if isinstance(at, datetime):
        request.parameters["at"].string_param = at.isoformat()
    elif at is not None:
        request.parameters["at"].double_param = at
    for name in dict.fromkeys(name for row in rows for name in row):
        datatype, values = _column(name, [row.get(name) for row in rows])
        shape = values.shape if values.ndim > 1 else (len(rows), 1)
        request.inputs.add(name=name, datatype=datatype, shape=shape)
        request.raw_input_contents.append(pack(datatype, values))
    return request


def decode(response: Any) -> list[Answer]:
    """Return the answers of a response, in the order of the rows.

    Raises:
        GnomonError: the response contradicts itself.
    """
    try:
        columns = {
            tensor.name: _values(tensor, raw)
            for tensor, raw in zip(response.outputs, response.raw_output_contents, strict=True)
        }
        rows = len(next(iter(columns.values())))
        parameters = {name: one.string_param for name, one in response.parameters.items()}
        broken = msgspec.json.decode(
            parameters.get("gnomon_violations", "[]"), type=list[dict[str, Any]]
        )
        return [
            Answer(
                outputs={name: values[row] for name, values in columns.items()},
                version=response.model_version,
                digest=parameters.get("gnomon_digest", ""),
                request_id=identity,
                violations=tuple(one for one in broken if one.get("row") == row),
                fallback=parameters.get("gnomon_fallback"),
            )
            for row, identity in enumerate(row_ids(response.id, rows))
        ]
    except (ValueError, IndexError, StopIteration, msgspec.MsgspecError) as error:
        raise GnomonError(f"the server's answer cannot be read: {error}") from error


def _column(name: str, values: list[Any]) -> tuple[str, NDArray[Any]]:
    """Return the datatype of a field's values, and the values."""
    values = [one.item() if isinstance(one, np.generic) else one for one in values]
    kinds = {type(value) for value in values}
    if kinds == {str}:
        return TEXT, np.array([*values, None], object)[:-1]
    if kinds == {bool}:
        return "BOOL", np.array(values)
    try:
        if kinds == {int}:
            return "INT64", np.array(values, np.int64)
        if kinds <= {int, float, type(None)}:
            numbers = [math.nan if value is None else value for value in values]
            return "FP64", np.array(numbers, np.float64)
        if kinds <= {list, tuple, np.ndarray}:
            return "FP32", np.array(values, np.float32)
    except (ValueError, TypeError, OverflowError) as error:
        raise _unusable_column(name, kinds, str(error)) from error
    is_one_kind = len(kinds - {type(None)}) == 1
    raise _unusable_column(name, kinds, _ALL_OR_NONE if is_one_kind else _ONE_KIND)


def _unusable_column(name: str, kinds: set[type], expected: str) -> InvalidInput:
    found = " and ".join(sorted("None" if kind is type(None) else kind.__name__ for kind in kinds))
    return InvalidInput(
        f"field {name!r} has values of {found}; right would be {expected}",
        details=[{"field": name, "rule": "type", "value": found, "expected": expected}],
    )


def _values(tensor: Any, raw: bytes) -> list[Any]:
    """Return one value per row: a scalar, or a list for a vector."""
    values = unpack(tensor.datatype, raw).reshape(tuple(tensor.shape))
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    listed: list[Any] = values.tolist()
    return listed
