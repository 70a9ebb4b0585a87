"""Converts rows and columns to messages of the protocol and back. No I/O."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from numpy.typing import NDArray

from gnomon.client.inference.column_values import read_column
from gnomon.proto.private import inference_messages
from gnomon.runtime.errors import GnomonError, InvalidInput
from gnomon.runtime.prediction import row_ids
from gnomon.runtime.raw_tensors import MISSING, pack, unpack
from gnomon.runtime.tables import TABLES, Columns

Row = Mapping[str, Any]


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
        request_id: the request's id; the server makes one if None.
        key: requests with the same key are answered by the same version.
        at: the data's own time, epoch seconds or datetime; None: now.

    Raises:
        InvalidInput: the values of a field differ in kind, or there are no rows.
    """
    rows = [rows] if isinstance(rows, Mapping) else rows
    if not isinstance(rows, Sequence) or not all(isinstance(row, Mapping) for row in rows):
        raise InvalidInput(
            f"{type(rows).__name__} cannot be predicted; right would be a row (value by field), a "
            f"list of rows, or {TABLES}"
        )
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: [row.get(name) for row in rows] for name in names}
    request = _begin(model, len(rows), request_id, key, at)
    _add_columns(request, columns, len(rows))
    return request


def encode_columns(
    model: str,
    columns: Columns,
    *,
    request_id: str | None = None,
    key: str | None = None,
    at: datetime | float | None = None,
) -> Any:
    """Return the request for the rows of a table, of which bad ones are refused one by one.

    Args:
        model: the public model name.
        columns: an array or a list of the values of all rows by field.
        request_id: as for `encode`.
        key: as for `encode`.
        at: as for `encode`.

    Raises:
        InvalidInput: there are no rows, the columns differ in length, or no tensor holds one.
    """
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise InvalidInput(f"the columns differ in length: {lengths}; right would be one length")
    rows = next(iter(lengths.values()), 0)
    request = _begin(model, rows, request_id, key, at)
    request.parameters["partial"].bool_param = True
    _add_columns(request, columns, rows)
    return request


def _begin(
    model: str, rows: int, request_id: str | None, key: str | None, at: datetime | float | None
) -> Any:
    if not rows:
        raise InvalidInput("there are no rows to predict; give one or more")
    request = inference_messages()["ModelInferRequest"](model_name=model, id=request_id or "")
    if key is not None:
        request.parameters["key"].string_param = key
    if isinstance(at, datetime):
        request.parameters["at"].string_param = at.isoformat()
    elif at is not None:
        request.parameters["at"].double_param = at
    return request


def _add_columns(request: Any, columns: Columns, rows: int) -> None:
    for name, given in columns.items():
        datatype, values, missing = read_column(name, given)
        shape = values.shape if values.ndim > 1 else (rows, 1)
        tensor = request.inputs.add(name=name, datatype=datatype, shape=shape)
        if missing:
            tensor.parameters[MISSING].string_param = msgspec.json.encode(missing).decode()
        request.raw_input_contents.append(pack(datatype, values))


def read_outputs(response: Any) -> dict[str, NDArray[Any]]:
    """Return the outputs of a response, each of shape (rows,) or (rows, …).

    Raises:
        GnomonError: the response contradicts itself.
    """
    try:
        return {
            tensor.name: _values(tensor, raw)
            for tensor, raw in zip(response.outputs, response.raw_output_contents, strict=True)
        }
    except ValueError as error:
        raise GnomonError(f"the server's answer cannot be read: {error}") from error


def decode(response: Any) -> list[Answer]:
    """Return the answers of a response, in the order of the rows.

    Raises:
        GnomonError: the response contradicts itself.
    """
    columns = {name: values.tolist() for name, values in read_outputs(response).items()}
    try:
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


def _values(tensor: Any, raw: bytes) -> NDArray[Any]:
    values = unpack(tensor.datatype, raw).reshape(tuple(tensor.shape))
    return values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values
