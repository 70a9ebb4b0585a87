"""What every frontend must do, whoever asks: one line a behaviour.

The model `eta` says 0.125·distance + 0.1·wind + 10·(carrier is UA). `kinds` gives its inputs back
in many datatypes, `wide` its whole numbers.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.server.serving.conformance.asking import Ask

#: Clients that check what they send: they cannot be brought to ask some things.
CAREFUL = ("grpc_sync", "grpc_aio", "grpc_stream", "grpc_stream_aio", "http_sync", "http_aio")
#: Those whose numbers are JSON.
JSON = ("json_httpx", "json_curl")


@dataclass(frozen=True)
class Case:
    """An ask, and either the outputs' data or the error's code and words of its message.

    `parameters` must be among the answer's. `unable` are clients that cannot ask this.
    """

    name: str
    ask: Ask
    outputs: dict[str, list[Any]] = field(default_factory=dict)
    code: str = ""
    words: str = ""
    parameters: dict[str, str] = field(default_factory=dict)
    shapes: dict[str, list[int]] = field(default_factory=dict)
    unable: tuple[str, ...] = ()


def tensor(datatype: str, data: list[Any], shape: list[int] | None = None) -> dict[str, Any]:
    return {"datatype": datatype, "shape": shape or [len(data)], "data": data}


def eta(rows: int = 1, **changes: Any) -> Ask:
    """Return a good ask of rows; `changes` replace parts of it, or tensors by their names."""
    inputs: dict[str, Any] = {
        "distance": tensor("FP64", [800.0] * rows),
        "wind": tensor("FP64", [10.0] * rows),
        "carrier": tensor("BYTES", ["UA"] * rows),
    }
    for name in ("distance", "wind", "carrier", "speed"):
        if name in changes:
            inputs[name] = changes.pop(name)
    for name in changes.pop("without", ()):
        del inputs[name]
    return {"model": "eta", "id": "r1", "inputs": inputs, **changes}


def kinds(rows: int = 1, **changes: Any) -> Ask:
    inputs = {
        "number": tensor("FP64", [1.5] * rows),
        "count": tensor("INT64", [4] * rows),
        "flag": tensor("BOOL", [True] * rows),
        "place": tensor("FP32", [1.0, 2.0, 3.0] * rows, [rows, 3]),
    }
    return {"model": "kinds", "id": "k1", "inputs": inputs | changes}


def wide(number: int, datatype: str = "INT64", rows: int = 1, factor: int = 1) -> Ask:
    inputs = {
        "id": tensor(datatype, [number] * rows),
        "count": tensor("UINT64", [abs(number)] * rows),
        "factor": tensor("INT32", [factor] * rows),
    }
    return {"model": "wide", "id": "w1", "inputs": inputs}


def good(rows: int) -> dict[str, list[Any]]:
    return {"air_time": [111.0] * rows}


def answers() -> Iterator[Case]:
    """Asks that are answered."""
    for rows in (1, 2, 64, 65, 1_000):
        case = Case(f"{rows}-rows", eta(rows), good(rows), shapes={"air_time": [rows, 1]})
        yield case
    upright = {
        "distance": tensor("FP64", [800.0, 400.0], [2, 1]),
        "wind": tensor("FP64", [10.0, 10.0], [2, 1]),
        "carrier": tensor("BYTES", ["UA", "AA"], [2, 1]),
    }
    yield Case("upright", eta(**upright), {"air_time": [111.0, 51.0]})
    yield Case("version", eta(version="1"), good(1))
    yield Case("output", eta(outputs=["air_time"]), good(1))
    yield Case("unicode-id", eta(id="ü" * 128), good(1))
    yield Case("at-and-key", eta(parameters={"at": "2013-07-04T12:00:00", "key": "x"}), good(1))
    yield Case("priority", eta(parameters={"priority": 2, "timeout": 60_000_000}), good(1))
    yield Case("unknown-parameter", eta(parameters={"colour": "red"}), good(1))
    clipped = eta(wind=tensor("FP64", [900.0]))
    yield Case("clipped", clipped, {"air_time": [130.0]}, parameters={"gnomon_violations": "wind"})
    missing = eta(wind=tensor("FP64", [math.nan]))
    yield Case("missing", missing, {"air_time": [110.0]}, unable=JSON)
    yield Case("large", eta(50_000), good(50_000))


def datatypes() -> Iterator[Case]:
    """Every datatype in, and every datatype out."""
    whole = [f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)]
    for kind in (*whole, "FP32", "FP64"):
        yield Case(f"in-{kind}", eta(distance=tensor(kind, [80])), {"air_time": [21.0]})
    half = tensor("FP16", [80.0])
    yield Case("in-FP16", eta(distance=half), {"air_time": [21.0]}, unable=("grpcio_typed",))
    yield Case(
        "in-BF16",
        eta(distance=tensor("BF16", [80.0])),
        {"air_time": [21.0]},
        unable=("grpcio_typed", *JSON),
    )
    row = {
        "same": [1.5],
        "precise": [1.5],
        "whole": [4],
        "short": [4],
        "positive": [True],
        "name": ["eins"],
        "moved": [1.0, 2.0, 3.0],
    }
    shapes = {"moved": [1, 3], "name": [1, 1]}
    yield Case("out-kinds", kinds(), row, shapes=shapes)
    twice = {name: values * 3 for name, values in row.items()}
    yield Case("out-kinds-rows", kinds(3), twice, shapes={"moved": [3, 3]})


def refusals() -> Iterator[Case]:
    """Asks that are refused, and by what name."""
    invalid = "invalid_input"
    for name, change, words in (
        ("minimum", {"distance": tensor("FP64", [-1.0])}, "'distance': -1.0 breaks 'minimum'"),
        ("type", {"distance": tensor("BYTES", ["far"])}, "'distance'"),
        ("bool", {"distance": tensor("BOOL", [True])}, "'distance'"),
        ("allowed", {"carrier": tensor("BYTES", ["ZÜ%"])}, "'ZÜ%' breaks 'allowed'"),
        ("required", {"without": ("distance",)}, "'distance'"),
        ("unknown-field", {"speed": tensor("FP64", [1.0])}, "speed"),
        ("rows-differ", {"wind": tensor("FP64", [1.0, 2.0])}, "number of rows"),
        ("unknown-output", {"outputs": ["landing"]}, "air_time"),
        ("long-id", {"id": "x" * 129}, "128"),
        ("bad-at", {"parameters": {"at": "noon"}}, "'at'"),
        ("bad-key", {"parameters": {"key": 7}}, "'key'"),
        ("bad-timeout", {"parameters": {"timeout": -1}}, "'timeout'"),
        ("bad-partial", {"parameters": {"partial": "yes"}}, "'partial'"),
    ):
        # tritonclient knows this parameter, and sends no other than a good one.
        unable = CAREFUL if name == "bad-timeout" else ()
        yield Case(name, eta(**change), code=invalid, words=words, unable=unable)
    nowhere = eta(distance=tensor("FP64", [math.nan]))
    yield Case("nan", nowhere, code=invalid, words="'distance'", unable=JSON)
    half = eta(distance=tensor("FP16", [80.0]))
    careful = (*CAREFUL, *JSON, "grpcio_raw")
    yield Case("typed-FP16", half, code=invalid, words="raw_input_contents", unable=careful)
    for name, one in (
        ("too-short", tensor("FP64", [1.0], [2])),
        ("too-long", tensor("FP64", [1.0, 2.0], [1])),
        ("no-shape", {"datatype": "FP64", "shape": [], "data": [1.0]}),
        ("negative-shape", tensor("FP64", [1.0], [-1])),
        ("unknown-datatype", tensor("FP65", [1.0])),
    ):
        unable = (*CAREFUL, *(("grpcio_typed", "grpcio_raw") if name.startswith("unk") else ()))
        yield Case(name, eta(distance=one), code=invalid, words="'distance'", unable=unable)
    none = eta(
        distance={"datatype": "FP64", "shape": [0], "data": []},
        wind={"datatype": "FP64", "shape": [0], "data": []},
        carrier={"datatype": "BYTES", "shape": [0], "data": []},
    )
    yield Case("no-rows", none, code=invalid, words="no rows", unable=CAREFUL)
    yield Case("no-inputs", eta(without=("distance", "wind", "carrier")), code=invalid)
    unknown = "unknown_model"
    yield Case("unknown-model", eta(model="weather"), code=unknown, words="'weather'")
    yield Case("unknown-version", eta(version="9"), code=unknown, words="in service as version 1")


def parts() -> Iterator[Case]:
    """Requests of which the good rows are answered."""
    asked = {"parameters": {"partial": True}}
    bad = tensor("FP64", [800.0, -1.0, 400.0])
    yield Case(
        "partial",
        eta(3, distance=bad, **asked),
        {"air_time": [111.0, math.nan, 61.0]},
        parameters={"gnomon_refused": '"row":1', "gnomon_ids": '["r1/0",null,"r1/1"]'},
        shapes={"air_time": [3, 1]},
    )
    yield Case(
        "partial-good",
        eta(2, **asked),
        good(2),
        parameters={"gnomon_refused": "[]", "gnomon_ids": '["r1/0","r1/1"]'},
    )
    yield Case(
        "partial-none",
        eta(2, distance=tensor("FP64", [-1.0, -2.0]), **asked),
        {"air_time": [math.nan, math.nan]},
        parameters={"gnomon_refused": '"row":1', "gnomon_ids": "[null,null]"},
        shapes={"air_time": [2, 1]},
    )
    yield Case(
        "partial-clipped",
        eta(
            2,
            distance=bad | {"data": [-1.0, 800.0], "shape": [2]},
            wind=tensor("FP64", [10.0, 900.0]),
            **asked,
        ),
        {"air_time": [math.nan, 130.0]},
        parameters={"gnomon_violations": '"row":1', "gnomon_ids": '[null,"r1"]'},
    )
    kinds_asked = kinds(2, number=tensor("FP64", [-2.0, 1e9])) | asked
    yield Case(
        "partial-kinds",
        kinds_asked,
        {
            "same": [-2.0, math.nan],
            "precise": [-2.0, math.nan],
            "whole": [4, 0],
            "short": [4, 0],
            "positive": [False, False],
            "name": ["eins", ""],
            "moved": [1.0, 2.0, 3.0, *[math.nan] * 3],
        },
    )
    unread = eta(2, distance=tensor("BYTES", ["far", "near"]), **asked)
    yield Case("partial-type", unread, {"air_time": [math.nan] * 2})


def whole_numbers() -> Iterator[Case]:
    """Whole numbers that float64 holds exactly are given back; all others are refused by rule."""
    limit = 2**53 - 1
    for number in (limit, -limit):
        for rows in (1, 3):
            given = {"same_id": [number] * rows, "same_count": [limit] * rows}
            yield Case(f"whole-{number}-{rows}", wide(number, rows=rows), given)
    beyond = "breaks 'overflow'; right would be a whole number that float64 holds exactly"
    for number in (limit + 1, limit + 2, 2**63 - 2, 2**63 - 1, -limit - 1, -(2**63)):
        for rows in (1, 3):
            case = wide(number, rows=rows)
            yield Case(f"beyond-{number}-{rows}", case, code="invalid_input", words=beyond)
    unsigned = wide(2**64 - 1, "UINT64")
    yield Case("beyond-unsigned", unsigned, code="invalid_input", words=beyond)
    for factor in (2, 1025):
        made = wide(limit, factor=factor)
        yield Case(f"beyond-output-{factor}", made, code="invalid_output", words=beyond)


CASES = (*answers(), *datatypes(), *refusals(), *parts(), *whole_numbers())
