"""Cases of REST that are refused: each must have an error status and the error object."""

from collections.abc import Iterator
from typing import Any

from gnomon.bench.conform.case import DELETED, ConformanceCase, Expected
from gnomon.bench.conform.values import BAD_VALUES

__all__ = ["rest_refused_cases"]

ANSWERED, REFUSED, EITHER = Expected
INFER = "POST /v2/models/{model}/infer"

#: Name → call that names nothing that is there, or has a wrong verb.
CALLS = {
    "unknown-model": "GET /v2/models/gnomon-no-such-model",
    "unknown-model-ready": "GET /v2/models/gnomon-no-such-model/ready",
    "unknown-version": "GET /v2/models/{model}/versions/gnomon-none",
    "unknown-version-ready": "GET /v2/models/{model}/versions/gnomon-none/ready",
    "unknown-path": "GET /v2/gnomon-no-such-path",
    "dots-as-model": "GET /v2/models/..%2f..%2fetc%2fpasswd",
    "nul-as-model": "GET /v2/models/%00",
}
WRONG_VERBS = {
    "post-live": "POST /v2/health/live",
    "post-ready": "POST /v2/health/ready",
    "delete-server": "DELETE /v2",
    "put-model": "PUT /v2/models/{model}",
    "post-model-ready": "POST /v2/models/{model}/ready",
    "get-infer": "GET /v2/models/{model}/infer",
    "delete-infer": "DELETE /v2/models/{model}/infer",
}

#: Name → bytes that are no request.
BODIES = {
    "empty": b"",
    "space": b" ",
    "no-json": b"this is not JSON",
    "half": b'{"inputs": [',
    "array": b"[]",
    "text": b'"inputs"',
    "number": b"1",
    "null": b"null",
    "true": b"true",
    "object": b"{}",
    "not-utf8": b'{"id": "\xff\xfe", "inputs": []}',
    "trailing": b'{"inputs": []} {"inputs": []}',
    "deep": b'{"inputs": ' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    "single-quotes": b"{'inputs': []}",
}

#: Member → values that it cannot have.
MEMBERS: dict[str, dict[str, Any]] = {
    "inputs": {
        **{"absent": DELETED, "null": None, "object": {}, "text": "x", "number": 1, "empty": []},
        **{"of-null": [None], "of-arrays": [[]], "of-numbers": [1], "of-empty-objects": [{}]},
    },
    "inputs.0.name": {
        **{"absent": DELETED, "null": None, "number": 1, "empty": "", "array": []},
        "unknown": "gnomon-no-such-input",
    },
    "inputs.0.datatype": {
        **{"absent": DELETED, "null": None, "number": 1, "empty": "", "array": []},
        **{
            "unknown": "FP65",
            "lower-case": "fp64",
            "of-numpy": "float64",
            "of-triton": "TYPE_FP64",
        },
    },
    "inputs.0.shape": {
        **{"absent": DELETED, "null": None, "number": 1, "text": "1", "object": {}},
        **{
            "negative": [-1],
            "fraction": [1.5],
            "of-text": ["a"],
            "nested": [[1]],
            "of-null": [None],
        },
        **{"larger": [1_000, 1], "huge": [2**31, 2**31], "beyond-int64": [2**64]},
    },
    "inputs.0.data": {
        **{"absent": DELETED, "null": None, "text": "x", "object": {}, "number": 1, "empty": []},
        **{"of-text": ["x"], "of-objects": [{}], "ragged": [[1], [1, 2]], "mixed": [1, "x"]},
        "longer": lambda one: one * 7,
    },
    "outputs": {
        **{"object": {}, "text": "x", "number": 1, "of-null": [None], "of-numbers": [1]},
        **{
            "unnamed": [{}],
            "unknown": [{"name": "gnomon-no-such-output"}],
            "number-name": [{"name": 1}],
        },
    },
    "id": {"number": 1, "array": ["a"], "object": {}, "true": True},
    "parameters": {"array": [], "text": "x", "number": 1},
    "inputs.0.parameters": {"array": [], "text": "x", "number": 1},
}
CLAUSES = {
    "inputs": "Inference request: inputs",
    "outputs": "Request output",
    "id": "Inference request: id",
    "parameters": "Inference request: parameters",
}


def rest_refused_cases() -> Iterator[ConformanceCase]:
    """Yield the cases."""
    for name, call in CALLS.items():
        yield ConformanceCase(f"rest-{name}", "Errors: unknown names", call, REFUSED, check="error")
    for name, call in WRONG_VERBS.items():
        yield ConformanceCase(f"rest-{name}", "HTTP verbs", call, REFUSED)
    for name, call in (
        ("infer-unknown-model", "POST /v2/models/gnomon-no-such-model/infer"),
        ("infer-unknown-version", "POST /v2/models/{model}/versions/gnomon-none/infer"),
    ):
        clause = "Errors: unknown names"
        yield ConformanceCase(f"rest-{name}", clause, call, REFUSED, {}, check="error")
    for name, body in BODIES.items():
        yield ConformanceCase(
            f"rest-body-{name}", "Inference request", INFER, REFUSED, body=body, check="error"
        )
    for member, values in MEMBERS.items():
        clause = CLAUSES.get(member, "Request input")
        for name, value in values.items():
            yield ConformanceCase(
                f"rest-{member.replace('.0.', '-')}-{name}",
                clause,
                INFER,
                REFUSED,
                {member: value},
                check="error",
                needs_number=member == "inputs.0.data",
            )
    yield ConformanceCase(
        "rest-input-twice",
        "Request input",
        INFER,
        REFUSED,
        {"inputs.+": lambda inputs: inputs[0]},
        check="error",
    )
    for name, (datatype, value) in BAD_VALUES.items():
        edits = {
            "inputs.0.datatype": datatype,
            "inputs.0.data": lambda one, v=value: [v] * len(one),
        }
        yield ConformanceCase(
            f"rest-value-{name}",
            "Tensor data",
            INFER,
            REFUSED,
            edits,
            check="error",
            needs_number=True,
        )
