"""Cases of gRPC: health, metadata, good requests, and requests that are refused."""

import base64
from collections.abc import Iterator
from typing import Any

from gnomon.bench.conform.case import DELETED, ConformanceCase, Expected
from gnomon.bench.conform.values import LIMITS

__all__ = ["grpc_cases"]

ANSWERED, REFUSED, EITHER = Expected
INFER = "ModelInfer"

#: Name → clause, method, request, check.
READS: dict[str, tuple[str, str, dict[str, Any], str]] = {
    "live": ("Health", "ServerLive", {}, "live"),
    "ready": ("Health", "ServerReady", {}, "ready"),
    "model-ready": ("Health", "ModelReady", {"name": "{model}"}, "ready"),
    "version-ready": (
        "Health",
        "ModelReady",
        {"name": "{model}", "version": "{version}"},
        "ready",
    ),
    "server-name": ("Server metadata", "ServerMetadata", {}, "server_name"),
    "server-version": ("Server metadata", "ServerMetadata", {}, "server_version"),
    **{
        f"{prefix}-{check.replace('_', '-')}": ("Model metadata", "ModelMetadata", request, check)
        for prefix, request in (
            ("model", {"name": "{model}"}),
            ("version", {"name": "{model}", "version": "{version}"}),
        )
        for check in (
            *("model_name", "model_platform", "input_names", "input_datatypes", "input_shapes"),
            *("output_names", "output_datatypes", "output_shapes"),
        )
    },
}

#: Name → clause, edits of the good request, check.
INFERENCES: dict[str, tuple[str, dict[str, Any], str]] = {
    **{
        f"response-{check.replace('_', '-')}": ("Inference response", {}, check)
        for check in (
            *("answers_model", "has_outputs", "outputs_named", "outputs_typed", "outputs_shaped"),
            *("outputs_sized", "outputs_as_metadata"),
        )
    },
    **{
        f"id-{name}": ("Inference request: id", {"id": text}, "id_echoed")
        for name, text in {
            "short": "1",
            "word": "request-42",
            "spaces": "a b  c",
            "unicode": "größe-漢字",
            "long": "x" * 100,
            "empty": "",
        }.items()
    },
    "inputs-reversed": (
        "Request input",
        {"inputs": lambda one: one[::-1], "raw_input_contents": lambda one: one[::-1]},
        "has_outputs",
    ),
    "version": ("Inference request", {"model_version": "{version}"}, "answers_model"),
    "output-parameters-empty": ("Request output", {"parameters": {}}, "has_outputs"),
}


def _raw(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text)


#: Name → clause, edits that make the good request a bad one.
REFUSALS: dict[str, tuple[str, dict[str, Any]]] = {
    "unknown-model": ("Errors: unknown names", {"model_name": "gnomon-no-such-model"}),
    "no-model": ("Errors: unknown names", {"model_name": ""}),
    "dots-as-model": ("Errors: unknown names", {"model_name": "../../etc/passwd"}),
    "unknown-version": ("Errors: unknown names", {"model_version": "gnomon-none"}),
    "no-inputs": ("Inference request: inputs", {"inputs": [], "raw_input_contents": []}),
    "input-unnamed": ("Request input", {"inputs.0.name": ""}),
    "input-unknown": ("Request input", {"inputs.0.name": "gnomon-no-such-input"}),
    "input-twice": (
        "Request input",
        {"inputs.+": lambda one: one[0], "raw_input_contents.+": lambda one: one[0]},
    ),
    **{
        f"datatype-{name}": ("Request input", {"inputs.0.datatype": text})
        for name, text in {
            **{"absent": "", "unknown": "FP65", "lower-case": "fp64", "of-numpy": "float64"},
            **{"of-triton": "TYPE_FP64", "long": "F" * 10_000},
        }.items()
    },
    **{
        f"shape-{name}": ("Request input", {"inputs.0.shape": shape})
        for name, shape in {
            **{"absent": [], "negative": [-1], "larger": [1_000, 1], "least": [-(2**63)]},
            **{"greatest": [2**63 - 1], "overflow": [2**32, 2**32], "zero": [0]},
            **{"many-axes": [2] * 100, "product-of-negatives": [-1, -1]},
        }.items()
    },
    "output-unknown": ("Request output", {"outputs": [{"name": "gnomon-no-such-output"}]}),
    "output-unnamed": ("Request output", {"outputs": [{}]}),
    "raw-fewer": (
        "Raw contents",
        {
            "raw_input_contents": lambda one: one[:-1],
            "inputs.+": lambda one: {**one[0], "name": "gnomon-more"},
        },
    ),
    "raw-more": ("Raw contents", {"raw_input_contents.+": _raw(bytes(8))}),
    "raw-none": ("Raw contents", {"raw_input_contents": []}),
    "raw-empty": ("Raw contents", {"raw_input_contents.0": ""}),
    "raw-short": (
        "Raw contents",
        {"raw_input_contents.0": lambda one: _raw(_bytes(one)[:-1])},
    ),
    "raw-long": (
        "Raw contents",
        {"raw_input_contents.0": lambda one: _raw(_bytes(one) + b"\0")},
    ),
    "raw-twice": (
        "Raw contents",
        {"raw_input_contents.0": lambda one: _raw(_bytes(one) * 2)},
    ),
    "raw-and-typed": ("Raw contents", {"inputs.0.contents": {"fp64_contents": [1.0]}}),
    **{
        f"bytes-{name}": (
            "Raw contents",
            {
                "inputs.0.datatype": "BYTES",
                "inputs.0.shape": [1, 1],
                "raw_input_contents.0": _raw(data),
            },
        )
        for name, data in {
            "no-length": b"ab",
            "longer-than-it-is": b"\x05\0\0\0ab",
            "shorter-than-it-is": b"\x01\0\0\0ab",
            "greatest-length": b"\xff\xff\xff\xffab",
        }.items()
    },
}

#: Datatype → the member of typed contents that it uses, if there is one.
CONTENTS = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}

#: Name → method, bytes that are no message of it.
MALFORMED = {
    "not-protobuf": b"\xff\xff\xff",
    "half-a-field": b"\x0a\x05ab",
    "name-not-utf8": b"\x0a\x02\xff\xfe",
    "wire-type-7": b"\x0f",
    "endless-varint": b"\x08" + b"\xff" * 20,
    "length-beyond": b"\x0a\xff\xff\xff\xff\x0f",
}


def grpc_cases(outputs: tuple[str, ...]) -> Iterator[ConformanceCase]:
    """Yield the cases; `outputs` are the names of the model's outputs."""
    for name, (clause, method, request, check) in READS.items():
        yield ConformanceCase(f"grpc-{name}", clause, method, ANSWERED, request, check=check)
    for name, (clause, edits, check) in INFERENCES.items():
        yield ConformanceCase(f"grpc-{name}", clause, INFER, ANSWERED, edits, check=check)
    for number, output in enumerate(outputs[:8]):
        edits = {"outputs": [{"name": output}]}
        check = f"only_output:{output}"
        name = f"grpc-output-alone-{number}"
        yield ConformanceCase(name, "Request output", INFER, ANSWERED, edits, check=check)
    yield from _typed()
    for name, (clause, edits) in REFUSALS.items():
        needs = name.startswith(("raw", "datatype", "shape"))
        yield ConformanceCase(f"grpc-{name}", clause, INFER, REFUSED, edits, needs_number=needs)
    yield from _unknown()
    for method in (INFER, "ModelMetadata", "ModelReady"):
        for name, body in MALFORMED.items():
            case = f"grpc-{method.lower()}-{name}"
            yield ConformanceCase(case, "Messages", method, REFUSED, body=body)


def _typed() -> Iterator[ConformanceCase]:
    """Yield cases of typed contents: the right member, each wrong one, and numbers out of range."""
    yield ConformanceCase(
        "grpc-typed", "Typed contents", "typed", ANSWERED, {}, check="has_outputs"
    )
    edits: dict[str, Any]
    for member in sorted(set(CONTENTS.values())):
        value: Any = _raw(b"a") if member == "bytes_contents" else 1
        value = True if member == "bool_contents" else value
        edits = {"inputs.0.contents": {member: [value]}}
        name = f"grpc-typed-{member.replace('_', '-')}"
        yield ConformanceCase(
            name, "Typed contents", "typed", EITHER, edits, check="wrong_member", needs_number=True
        )
    for name, contents in (("none", {}), ("longer", {"fp64_contents": [1.0] * 7})):
        edits = {"inputs.0.datatype": "FP64", "inputs.0.contents": contents}
        case = f"grpc-typed-{name}"
        yield ConformanceCase(case, "Typed contents", "typed", REFUSED, edits, needs_number=True)
    for datatype in ("INT8", "INT16", "UINT8", "UINT16"):
        member = CONTENTS[datatype]
        beyond = {"above": LIMITS[datatype][1] + 1, "below": LIMITS[datatype][0] - 1}
        for name, value in beyond.items():
            if value < 0 and member == "uint_contents":
                continue  # no message can have it
            edits = {"inputs.0.datatype": datatype, "inputs.0.contents": {member: [value]}}
            case = f"grpc-typed-{datatype}-{name}"
            yield ConformanceCase(
                case, "Typed contents", "typed", REFUSED, edits, needs_number=True
            )
    edits = {"inputs.0.datatype": "FP16", "inputs.0.contents": {"fp32_contents": [1.0]}}
    yield ConformanceCase(
        "grpc-typed-FP16", "Typed contents", "typed", REFUSED, edits, needs_number=True
    )


def _unknown() -> Iterator[ConformanceCase]:
    for method in ("ModelMetadata",):
        for name, request in (
            ("unknown-model", {"name": "gnomon-no-such-model"}),
            ("no-model", {"name": DELETED}),
            ("unknown-version", {"name": "{model}", "version": "gnomon-none"}),
        ):
            edits = {key: one for key, one in request.items() if one is not DELETED}
            clause = "Errors: unknown names"
            yield ConformanceCase(f"grpc-metadata-{name}", clause, method, REFUSED, edits)
    yield ConformanceCase(
        "grpc-unknown-model-ready",
        "Health",
        "ModelReady",
        EITHER,
        {"name": "gnomon-no-such-model"},
        check="not_ready",
    )
    yield ConformanceCase(
        "grpc-unknown-method", "Messages", "GnomonNoSuchMethod", REFUSED, body=b""
    )
