"""Conversion between plain values and the messages of `registry.proto`, by field name.

A message field holds the value of the same name; one named `…_json` holds the JSON document of the
value without that suffix. A message with a single repeated or map field stands for the bare list or
object that REST returns. What a value does not have, or has as None, is left unset.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from gnomon.runtime.errors import InvalidInput

_Message = TypeVar("_Message", bound=Message)

_JSON = "_json"


def to_message(kind: type[_Message], value: Any) -> _Message:
    """Return a message of a kind with what a plain value holds.

    Raises:
        ValueError: a value does not fit its field.
    """
    message: _Message = kind()
    _fill(message, value)
    return message


def to_parameters(message: Message) -> dict[str, Any]:
    """Return the fields of a request that are set, with JSON documents decoded.

    A field without presence is always there, as protobuf cannot say whether it was set; an empty
    JSON document is left out.

    Raises:
        InvalidInput: a JSON document cannot be decoded.
    """
    return dict(_parameters(message))


def _parameters(message: Message) -> Iterator[tuple[str, Any]]:
    for field in message.DESCRIPTOR.fields:
        if field.has_presence and not message.HasField(field.name):
            continue
        value = getattr(message, field.name)
        if _is_map(field):
            yield field.name, dict(value)
        elif field.name.endswith(_JSON):
            name = field.name.removesuffix(_JSON)
            if _is_repeated(field):
                yield name, [_decode(name, one) for one in value]
            elif value:
                yield name, _decode(name, value)
        elif field.message_type is not None:
            yield field.name, [to_parameters(one) for one in value]
        else:
            yield field.name, list(value) if _is_repeated(field) else value


def _decode(name: str, document: str) -> Any:
    try:
        return json.loads(document)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{name}{_JSON} should be a JSON document: {error}") from error


def _fill(message: Any, value: Any) -> None:
    message.SetInParent()
    for field in message.DESCRIPTOR.fields:
        given = value if _is_bare(message, value) else value.get(field.name.removesuffix(_JSON))
        if field.name.endswith(_JSON) and not _is_repeated(field):
            setattr(message, field.name, json.dumps(given))
        elif given is None:
            continue
        elif _is_map(field):
            _fill_map(getattr(message, field.name), field, given)
        elif field.message_type is not None and _is_repeated(field):
            for one in given:
                _fill(getattr(message, field.name).add(), one)
        elif field.message_type is not None:
            _fill(getattr(message, field.name), given)
        elif _is_repeated(field):
            getattr(message, field.name).extend(_scalar(field, one) for one in given)
        else:
            setattr(message, field.name, _scalar(field, given))


def _fill_map(target: Any, field: FieldDescriptor, given: Mapping[str, Any]) -> None:
    if field.message_type.fields_by_name["value"].message_type is None:
        target.update(given)
        return
    for key, one in given.items():
        _fill(target[key], one)


def _is_bare(message: Message, value: Any) -> bool:
    """Whether a value is what the message's only field holds, not an object with that field."""
    fields = message.DESCRIPTOR.fields
    return len(fields) == 1 and (isinstance(value, list) or _is_map(fields[0]))


def _is_repeated(field: FieldDescriptor) -> bool:
    # protobuf 6.30 has no `is_repeated`, and 7 has no `label`.
    return bool(field.default_value == [])


def _is_map(field: FieldDescriptor) -> bool:
    kind = field.message_type
    return bool(kind is not None and kind.GetOptions().map_entry)


def _scalar(field: FieldDescriptor, value: Any) -> Any:
    if field.name.endswith(_JSON):
        return json.dumps(value)
    # Plain values hold bytes in Base64, as JSON does.
    return base64.b64decode(value) if field.type == FieldDescriptor.TYPE_BYTES else value
