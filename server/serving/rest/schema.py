"""OpenAPI from contracts: each route in service is a call with its own fields, types and ranges."""

from collections.abc import Mapping
from typing import Any

from gnomon.core.fields import Field, Kind
from gnomon.runtime.limits import STORED_ID_CHARACTERS
from gnomon.runtime.models.model import Model
from gnomon.runtime.models.tensor_model import TensorModel
from gnomon.runtime.runtime import Runtime
from gnomon.server.rest.problem_schema import describe_problems
from gnomon.server.serving.rest.tensor_schema import TENSOR_ANSWER, TENSOR_REQUEST, tensors_schema

#: Statuses of calls, beside those of every path, by the path's prefix.
STATUSES = {
    "": (),
    "/v1/models/": (404, 409, 429, 502, 507),
    "/v2/models/": (404, 409, 429, 502, 507),
    "/v2/repository/": (404, 409, 501, 502, 507),
}


def add_models(description: dict[str, Any], runtime: Runtime) -> dict[str, Any]:
    """Add the routes in service to an OpenAPI description, and return it."""
    schemas = description.setdefault("components", {}).setdefault("schemas", {})
    schemas |= {"TensorRequest": TENSOR_REQUEST, "TensorAnswer": TENSOR_ANSWER}
    for name, route in sorted(runtime.routes.items()):
        digest = max(route.targets, key=lambda target: target.weight).digest
        model = runtime.models.get(digest)
        if model is None:
            continue
        schemas[f"{name}.row"] = row_schema(model)
        schemas[f"{name}.request"] = _request(name)
        schemas[f"{name}.outputs"] = _outputs(model)
        schemas[f"{name}.answer"] = _answer(name)
        description["paths"][f"/v1/models/{name}:predict"] = {"post": _operation(name, model)}
        description["paths"][f"/v2/models/{name}/infer"] = {"post": _tensors(name, model)}
    return describe_problems(description, STATUSES)


def row_schema(model: Model) -> dict[str, Any]:
    """Return the JSON schema of one row of a model's inputs; no other field is taken."""
    schema = _inputs(model) | {"additionalProperties": False}
    rules = model.package.profile.rules
    if rules:
        described = "; ".join(rule.message or rule.expression for rule in rules)
        schema["description"] = f"Rules over several fields: {described}"
    return schema


def field_schema(field: Field) -> dict[str, Any]:
    """Return the JSON schema of a field: its hard rules, as far as JSON schema has them."""
    vector = field.kind.is_vector
    schema = _vector(field) if vector else {"type": _type(field)} | _rules(field)
    described = [
        part for part in (field.description, f"in {field.unit}" if field.unit else "") if part
    ]
    if field.policy.value != "reject":
        described.append(f"a value that breaks a rule: {field.policy.value}")
    if described:
        schema["description"] = "; ".join(described)
    if field.nullable:
        schema["type"] = [schema["type"], "null"]
        if "enum" in schema:
            schema["enum"] = [*schema["enum"], None]
    return schema


def _inputs(model: Model) -> dict[str, Any]:
    if isinstance(model, TensorModel):
        return tensors_schema(model.package.manifest.signature.inputs)
    return _object(model.package.profile.inputs)


def _outputs(model: Model) -> dict[str, Any]:
    if isinstance(model, TensorModel):
        return tensors_schema(model.package.manifest.signature.outputs)
    return _object(model.package.profile.outputs)


def _object(fields: tuple[Field, ...]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {field.name: field_schema(field) for field in fields},
        "required": [field.name for field in fields if field.required],
    }


def _type(field: Field) -> str:
    if field.kind.is_text:
        return "string"
    if field.kind is Kind.BOOL:
        return "boolean"
    return "integer" if field.kind.is_integer or field.integer else "number"


def _rules(field: Field) -> dict[str, Any]:
    least, greatest = field.minimum, field.maximum
    if field.kind.is_integer:
        least, greatest = field.integer_bounds
    # An integer kind's bounds are closed already.
    opened = not field.kind.is_integer
    rules = {
        "exclusiveMinimum" if field.minimum_open and opened else "minimum": least,
        "exclusiveMaximum" if field.maximum_open and opened else "maximum": greatest,
        "enum": list(field.allowed) if field.allowed else None,
        "minLength": field.minimum_length,
        "maxLength": field.maximum_length,
        "pattern": f"^(?:{field.pattern})$" if field.pattern else None,
    }
    return {name: value for name, value in rules.items() if value is not None}


def _vector(field: Field) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "number"} | _rules(field)
    for length in reversed(field.shape):
        schema = {"type": "array", "items": schema, "minItems": length, "maxItems": length}
    return schema


def _request(name: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "instances": {
                "type": "array",
                "minItems": 1,
                "items": {"$ref": f"#/components/schemas/{name}.row"},
            },
            "id": {
                "type": "string",
                "maxLength": STORED_ID_CHARACTERS,
                "description": "labels are joined by it",
            },
            "key": {
                "type": ["string", "null"],
                "description": "whose answers stick to one version",
            },
            "at": {
                "type": ["string", "number", "null"],
                # As ISO 8601 begins; the rest is checked when it is read.
                "pattern": r"^\d{4}-?(\d{2}|W\d{2})",
                "description": "the data's own time: ISO 8601 or epoch seconds; null: now",
            },
            "partial": {
                "type": "boolean",
                "default": False,
                "description": "answer the good rows and mark the bad ones",
            },
        },
        "required": ["instances"],
        "additionalProperties": False,
    }


def _answer(name: str) -> dict[str, Any]:
    row = {"oneOf": [{"$ref": f"#/components/schemas/{name}.outputs"}, {"type": "null"}]}
    objects = {"type": "array", "items": {"type": "object"}}
    return {
        "type": "object",
        "properties": {
            "model": {"type": "string"},
            "version": {"type": "string"},
            "digest": {"type": "string"},
            "id": {"type": "string"},
            "predictions": {"type": "array", "items": row},
            "ids": {"type": "array", "items": {"type": ["string", "null"]}},
            "violations": objects | {"description": "what was corrected or flagged"},
            "refused": objects | {"description": "what was wrong with the rows that were refused"},
            "fallback": {"type": ["string", "null"], "description": "why a fallback answered"},
            "fallback_by": {
                "type": ["string", "null"],
                "description": "which one: name@version, 'rule' or 'constant'",
            },
        },
    }


def _tensors(name: str, model: Model) -> Mapping[str, Any]:
    """Return the protocol's own call, with what its tensors are."""
    signature = model.package.manifest.signature
    tensors = {
        side: ", ".join(f"{spec.name} {spec.datatype} {list(spec.shape)}" for spec in specs)
        for side, specs in (("takes", signature.inputs), ("gives", signature.outputs))
    }
    return {
        "summary": f"Predict with {name} by tensors",
        "description": (
            f"Open Inference Protocol v2; {name} takes {tensors['takes']} "
            f"and gives {tensors['gives']}; tensors as JSON or as the binary extension"
        ),
        "operationId": f"infer_{name}",
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"$ref": "#/components/schemas/TensorRequest"}}
            },
        },
        "responses": {
            "200": {
                "description": "The output tensors.",
                "content": {
                    "application/json": {"schema": {"$ref": "#/components/schemas/TensorAnswer"}},
                    "application/octet-stream": {"schema": {"type": "string"}},
                },
            },
        },
    }


def _operation(name: str, model: Model) -> Mapping[str, Any]:
    return {
        "summary": f"Predict with {name} (version {model.version})",
        "operationId": f"predict_{name}",
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"$ref": f"#/components/schemas/{name}.request"}}
            },
        },
        "responses": {
            "200": {
                "description": "The answers, in the order of the rows.",
                "content": {
                    "application/json": {"schema": {"$ref": f"#/components/schemas/{name}.answer"}}
                },
            },
        },
    }
