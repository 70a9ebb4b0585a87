"""Tables as columns of a request, and a response as a table of the same kind. No I/O."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from gnomon.runtime.errors import GnomonError, InvalidInput
from gnomon.runtime.tables import Columns, build_answers, is_table, read_columns

__all__ = ["ModelFields", "agree", "find_columns", "needs_signature", "read_answers"]

#: Of a row that the server refused without a rule, as beyond the rules that an answer lists.
_UNTOLD = "refused by the contract"


class InputColumn(NamedTuple):
    """A field of a model, as the server describes it."""

    name: str
    shape: tuple[int, ...]


class ModelFields(NamedTuple):
    """The fields of a model in their order, and the versions that have them so."""

    fields: tuple[InputColumn, ...]
    versions: frozenset[str]


def needs_signature(rows: Any) -> bool:
    """Whether only a model's signature says what is given.

    That is an array whose columns have no names, and arrays by name, which may be the vectors of
    one row.
    """
    if isinstance(rows, Mapping):
        return is_table(rows) and all(isinstance(one, np.ndarray | list) for one in rows.values())
    return isinstance(rows, np.ndarray) and rows.dtype.names is None


def agree(described: Sequence[Any]) -> ModelFields:
    """Return the signature that all versions of a model share.

    Args:
        described: a `ModelMetadataResponse` of each version.

    Raises:
        InvalidInput: their fields differ, so that columns without names may be either's.
    """
    signatures = {
        tuple(InputColumn(one.name, _tail(one.shape)) for one in answer.inputs)
        for answer in described
    }
    if len(signatures) > 1:
        raise InvalidInput(
            f"the versions of {described[0].name!r} in service have different fields; right would "
            "be columns with names, such as a data frame"
        )
    return ModelFields(signatures.pop(), frozenset(described[0].versions))


def find_columns(rows: Any, signature: ModelFields | None) -> Columns | None:
    """Return the columns of a table, or None if one row or a list of rows is given.

    Raises:
        InvalidInput: the table cannot be read; see `gnomon.runtime.tables.read_columns`.
    """
    if not is_table(rows):
        return None
    fields = () if signature is None else signature.fields
    if isinstance(rows, Mapping) and not _holds_columns(rows, fields):
        return None
    return read_columns(rows, fields)


def read_answers(like: Any, response: Any, outputs: Mapping[str, NDArray[Any]]) -> Any:
    """Return a partial response as a table of the kind that was asked with.

    Args:
        like: the table of the request.
        response: the server's, with the parameters of a partial answer.
        outputs: its outputs, each of shape (rows,) or (rows, …).

    Raises:
        GnomonError: the response does not say what became of each row.
    """
    said = {name: one.string_param for name, one in response.parameters.items()}
    version, fallback = response.model_version, said.get("gnomon_fallback")
    try:
        ids = msgspec.json.decode(said["gnomon_ids"], type=list[str | None])
        broken = msgspec.json.decode(said["gnomon_refused"], type=list[dict[str, Any]])
    except (KeyError, msgspec.MsgspecError) as error:
        raise GnomonError(
            f"the server's answer does not say which rows it refused: {error}"
        ) from error
    bad = [row for row, identity in enumerate(ids) if identity is None]
    if not bad:
        return build_answers(like, outputs, version=version, fallback=fallback, refused=None)
    reasons = {one["row"]: _reason(one) for one in reversed(broken)}
    refused = [
        None if one is not None else reasons.get(row, _UNTOLD) for row, one in enumerate(ids)
    ]
    return build_answers(
        like,
        {name: _without(values, bad) for name, values in outputs.items()},
        version=[version if one is None else None for one in refused],
        fallback=[fallback if one is None else None for one in refused],
        refused=refused,
    )


def _holds_columns(mapping: Mapping[str, Any], fields: Sequence[InputColumn]) -> bool:
    """Whether a mapping holds arrays of many rows rather than the values of one."""
    shapes = {field.name: field.shape for field in fields}
    return any(
        isinstance(value, np.ndarray) and value.ndim == len(shapes[name]) + 1
        for name, value in mapping.items()
        if name in shapes
    )


def _tail(shape: Sequence[int]) -> tuple[int, ...]:
    """Return the shape of a row's value; that of a scalar is written as (1,)."""
    tail = tuple(int(length) for length in shape[1:])
    return () if tail == (1,) else tail


def _reason(broken: Mapping[str, Any]) -> str:
    where = f"field {broken['field']!r}: " if broken.get("field") else ""
    return (
        f"{where}{broken.get('value')!r} breaks {broken.get('rule')!r}; "
        f"right would be {broken.get('expected')}"
    )


def _without(values: NDArray[Any], bad: Sequence[int]) -> NDArray[Any]:
    """Return an output without values in the rows that have no answer."""
    if values.dtype.kind == "f" and values.ndim == 1:
        return values
    column = np.empty(len(values), object)
    for row, value in enumerate(values.tolist()):
        column[row] = value
    column[list(bad)] = None
    return column
