"""OpenAPI of the Open Inference Protocol's bodies: tensors in, tensors out."""

from collections.abc import Sequence
from typing import Any

from gnomon.runtime.limits import STORED_ID_CHARACTERS
from gnomon.runtime.packages.manifest import TensorSpec
from gnomon.runtime.raw_tensors import ELEMENT_TYPES, TEXT
from gnomon.server.serving.tensors import DIMENSIONS_LIMIT

_JSON_TYPES = {
    TEXT: "string",
    "BOOL": "boolean",
    **dict.fromkeys(("FP16", "FP32", "FP64"), "number"),
}
_PARAMETERS = {
    "type": "object",
    "additionalProperties": {"type": ["boolean", "integer", "number", "string"]},
}


def _tensor(**data: str) -> dict[str, Any]:
    """Return the schema of a tensor; `data` describes its values."""
    return {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "datatype": {"type": "string", "enum": [*ELEMENT_TYPES, TEXT]},
            "shape": {
                "type": "array",
                "maxItems": DIMENSIONS_LIMIT,
                "items": {"type": "integer", "minimum": 0},
            },
            "data": {"type": "array", **data},
            "parameters": _PARAMETERS,
        },
        "required": ["name", "datatype", "shape"],
    }


def tensors_schema(specs: Sequence[TensorSpec]) -> dict[str, Any]:
    """Return the schema of one row whose values are tensors, as nested lists."""
    return {
        "type": "object",
        "properties": {spec.name: _nested(spec) for spec in specs},
        "required": [spec.name for spec in specs],
    }


def _nested(spec: TensorSpec) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": _JSON_TYPES.get(spec.datatype, "integer")}
    for length in reversed(spec.shape[1:]):
        bounds = {} if length < 0 else {"minItems": length, "maxItems": length}
        schema = {"type": "array", "items": schema} | bounds
    return schema


_INPUT = _tensor(description="values, or lists of them by axis; null is a missing value")
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

TENSOR_ANSWER: dict[str, Any] = {
    "type": "object",
    "properties": {
        "model_name": {"type": "string"},
        "model_version": {"type": "string"},
        "id": {"type": "string"},
        "parameters": {"type": "object", "additionalProperties": {"type": "string"}},
        "outputs": {"type": "array", "items": _tensor()},
    },
    "required": ["model_name", "model_version", "id", "parameters", "outputs"],
}
