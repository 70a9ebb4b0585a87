"""Cases of REST that are answered: health, metadata, and good requests."""

from collections.abc import Iterator
from typing import Any

from gnomon.bench.conform.case import DELETED, ConformanceCase, Expected

__all__ = ["rest_answered_cases"]

ANSWERED, REFUSED, EITHER = Expected
MODEL = "GET /v2/models/{model}"
INFER = "POST /v2/models/{model}/infer"
VERSION = "/versions/{version}"
JSON_TYPES = ("application/json", "application/json; charset=utf-8", "")

#: Name → clause, call, check.
READS = {
    "live": ("Health", "GET /v2/health/live", ""),
    "ready": ("Health", "GET /v2/health/ready", ""),
    "model-ready": ("Health", MODEL + "/ready", ""),
    "version-ready": ("Health", MODEL + VERSION + "/ready", ""),
    "server-name": ("Server metadata", "GET /v2", "server_name"),
    "server-version": ("Server metadata", "GET /v2", "server_version"),
    "server-extensions": ("Server metadata", "GET /v2", "server_extensions"),
    "server-json": ("Server metadata", "GET /v2", "is_json"),
    **{
        f"{prefix}-{check.replace('_', '-')}": ("Model metadata", call, check)
        for prefix, call in (("model", MODEL), ("version", MODEL + VERSION))
        for check in (
            *("model_name", "model_versions", "model_platform", "is_json"),
            *("input_names", "input_datatypes", "input_shapes"),
            *("output_names", "output_datatypes", "output_shapes"),
        )
    },
}

#: Name → clause, edits, check.
INFERENCES: dict[str, tuple[str, dict[str, Any], str]] = {
    **{
        f"response-{check.replace('_', '-')}": ("Inference response", {}, check)
        for check in (
            *("answers_model", "has_outputs", "outputs_named", "outputs_typed", "outputs_shaped"),
            *("outputs_sized", "outputs_as_metadata", "is_json", "version_is_text"),
        )
    },
    **{
        f"id-{name}": ("Inference request: id", {"id": text}, "id_echoed")
        for name, text in {
            "short": "1",
            "word": "request-42",
            "uuid": "6d8c2c4e-33a8-4d9b-9b8e-0a2b7f0e9c11",
            "spaces": "a b  c",
            "unicode": "größe-漢字",
            "quotes": "a\"b'c\\d",
            "slashes": "a/b?c=d&e",
            "long": "x" * 100,
        }.items()
    },
    "id-absent": ("Inference request: id", {"id": DELETED}, "has_outputs"),
    "parameters-empty": ("Inference request: parameters", {"parameters": {}}, "has_outputs"),
    "input-parameters-empty": ("Request input", {"inputs.0.parameters": {}}, "has_outputs"),
    "outputs-empty": ("Request output", {"outputs": []}, "has_outputs"),
    "inputs-reversed": ("Request input", {"inputs": lambda one: one[::-1]}, "has_outputs"),
    "data-nested": ("Tensor data", {"inputs.0.data": lambda one: [one]}, "has_outputs"),
    "unicode-escapes": ("Tensor data", {"id": "\u0041"}, "id_echoed"),
}


def rest_answered_cases(outputs: tuple[str, ...]) -> Iterator[ConformanceCase]:
    """Yield the cases; `outputs` are the names of the model's outputs."""
    for name, (clause, call, check) in READS.items():
        yield ConformanceCase(f"rest-{name}", clause, call, ANSWERED, check=check)
    for name, (clause, edits, check) in INFERENCES.items():
        yield ConformanceCase(
            f"rest-{name}", clause, INFER, ANSWERED, edits, check=check, needs_number="data" in name
        )
    version = "POST /v2/models/{model}" + VERSION + "/infer"
    for check in ("has_outputs", "answers_model", "id_echoed"):
        name = f"rest-version-infer-{check.replace('_', '-')}"
        yield ConformanceCase(name, "Inference", version, ANSWERED, {}, check=check)
    for number, kind in enumerate(JSON_TYPES):
        headers = {"content-type": kind} if kind else {}
        name = f"rest-content-type-{number}"
        yield ConformanceCase(
            name, "Inference", INFER, ANSWERED, {}, check="has_outputs", headers=headers
        )
    for number, output in enumerate(outputs[:8]):
        edits = {"outputs": [{"name": output}]}
        name = f"rest-output-alone-{number}"
        yield ConformanceCase(
            name, "Request output", INFER, ANSWERED, edits, check=f"only_output:{output}"
        )
    everything = {"outputs": [{"name": one} for one in outputs]}
    yield ConformanceCase(
        "rest-outputs-all",
        "Request output",
        INFER,
        ANSWERED,
        everything,
        check="outputs_as_metadata",
    )
