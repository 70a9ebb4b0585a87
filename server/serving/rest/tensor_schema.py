"""OpenAPI of the Open Inference Protocol's bodies: tensors in, tensors out."""

from typing import Any

from gnomon.runtime.limits import STORED_ID_CHARACTERS
from gnomon.runtime.raw_tensors import ELEMENT_TYPES, TEXT

_PARAMETERS = {
    "type": "object",
    "additionalProperties": {"type": ["boolean", "integer", "number", "string"]},
}
_DATATYPE = {"type": "string", "enum": [*ELEMENT_TYPES, TEXT]}
_SHAPE = {"type": "array", "maxItems": 8, "items": {"type": "integer", "minimum": 0}}

_INPUT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "datatype": _DATATYPE,
        "shape": _SHAPE,
        "data": {
            "type": "array",
            "description": "values, or lists of them by axis; null is a missing number",
        },
        "parameters": _PARAMETERS,
    },
    "required": ["name", "datatype", "shape"],
}
_WANTED: dict[str, Any] = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "parameters": _PARAMETERS},
    "required": ["name"],
}
TENSOR_REQUEST: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "maxLength": STORED_ID_CHARACTERS},
        "inputs": {"type": "array", "items": _INPUT},
        "outputs": {"type": "array", "items": _WANTED},
        "parameters": _PARAMETERS,
    },
    "required": ["inputs"],
}

_OUTPUT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "datatype": _DATATYPE,
        "shape": _SHAPE,
        "data": {"type": "array"},
        "parameters": _PARAMETERS,
    },
    "required": ["name", "datatype", "shape"],
}
TENSOR_ANSWER: dict[str, Any] = {
    "type": "object",
    "properties": {
        "model_name": {"type": "string"},
        "model_version": {"type": "string"},
        "id": {"type": "string"},
        "parameters": {"type": "object", "additionalProperties": {"type": "string"}},
        "outputs": {"type": "array", "items": _OUTPUT},
    },
    "required": ["model_name", "model_version", "id", "parameters", "outputs"],
}
