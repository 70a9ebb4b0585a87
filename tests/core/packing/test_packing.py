"""Packing: rows and columns give the same tensors, and those of plain Python."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.core.contract import Contract
from gnomon.core.fields import ContractError, Field, Kind, Policy
from gnomon.core.packing import Feature, Packing, Tensor
from gnomon.core.packing.loop import TensorPacker

CONTRACT = Contract(
    [
        Field(name="hour", kind=Kind.INT8, nullable=True, policy=Policy.FLAG),
        Field(
            name="carrier",
            kind=Kind.CATEGORY,
            allowed=("UA", "AA"),
            nullable=True,
            policy=Policy.FLAG,
        ),
        Field(name="pixels", kind=Kind.VECTOR, shape=(2,), nullable=True, policy=Policy.FLAG),
        Field(name="speed", kind=Kind.FLOAT64, nullable=True, finite=False),
        Field(name="late", kind=Kind.BOOL, nullable=True),
        Field(name="edges", kind=Kind.TENSOR, shape=(1, 3), nullable=True),
        Field(name="count", kind=Kind.UINT64, nullable=True),
    ]
)
PACKING = Packing(
    CONTRACT,
    [
        Tensor(
            "wide",
            "FP32",
            (
                Feature("speed", missing=-1.0),
                Feature("carrier", "onehot"),
                Feature("hour"),
                Feature("edges", missing=-2.0),
                Feature("pixels"),
                Feature("carrier", "code", 9.0),
            ),
        ),
        Tensor("double", "FP64", (Feature("late", missing=0.5), Feature("speed"))),
        Tensor("small", "INT32", (Feature("hour", missing=-1), Feature("carrier", "code", 7))),
        Tensor("codes", "INT64", (Feature("carrier", "onehot"), Feature("late", missing=2))),
    ],
)

ROWS = st.fixed_dictionaries(
    {
        "hour": st.none() | st.integers(-128, 127),
        "carrier": st.sampled_from(["UA", "AA", "XX", None]),
        "pixels": st.none()
        | st.lists(st.floats(width=32, allow_infinity=False), min_size=2, max_size=2),
        "speed": st.none() | st.floats(),
        "late": st.none() | st.booleans(),
        "edges": st.none() | st.just([[1.0, 2.0, 3.0]]),
        "count": st.none() | st.integers(0, 2**53 - 1),
    }
)


def _or(value: float | None, missing: float) -> float:
    return missing if value is None or math.isnan(value) else float(value)


def _naive(row: dict[str, Any]) -> dict[str, list[float]]:
    codes = {"UA": 0.0, "AA": 1.0}
    onehot = [float(row["carrier"] == name) for name in ("UA", "AA")]
    code = codes.get(row["carrier"])
    hour, speed, nan = row["hour"], row["speed"], math.nan
    edges = [-2.0] * 3 if row["edges"] is None else [1.0, 2.0, 3.0]
    pixels = [nan, nan] if row["pixels"] is None else row["pixels"]
    wide = [_or(speed, -1.0), *onehot, _or(hour, nan), *edges, *pixels, _or(code, 9.0)]
    return {
        "wide": wide,
        "double": [_or(row["late"], 0.5), _or(speed, nan)],
        "small": [_or(hour, -1), _or(code, 7)],
        "codes": [*onehot, _or(row["late"], 2)],
    }


@settings(deadline=None)
@given(st.lists(ROWS, min_size=1, max_size=6))
def test_rows_columns_and_plain_python_agree(rows: list[dict[str, Any]]) -> None:
    row = CONTRACT.new_row()
    columns, _ = CONTRACT.check_columns({name: [item[name] for item in rows] for name in rows[0]})
    together = PACKING.pack_columns(columns)
    for index, item in enumerate(rows):
        CONTRACT.check_row(item, row)
        alone = PACKING.pack_row(row)
        for name, expected in _naive(item).items():
            with np.errstate(over="ignore"):
                wanted = np.array([expected]).astype(alone[name].dtype)
            assert np.array_equal(alone[name], wanted, equal_nan=alone[name].dtype.kind == "f")
            assert alone[name].tobytes() == together[name][index].tobytes()


def test_packing_travels_through_json() -> None:
    again = Packing.from_dict(CONTRACT, json.loads(json.dumps(PACKING.to_dict())))
    assert again.to_dict() == PACKING.to_dict()
    assert again.widths == {"wide": 10, "double": 2, "small": 2, "codes": 3}
    assert len(again.packers) == 4


REFUSED = [
    (Tensor("t", "FP16", (Feature("hour"),)), "dtype 'FP16' is unknown"),
    (Tensor("t", "FP32", ()), "at least one feature"),
    (Tensor("t", "FP32", (Feature("minute"),)), "unknown field 'minute'"),
    (Tensor("t", "FP32", (Feature("hour", "hash"),)), "use value, code, onehot"),
    (Tensor("t", "FP32", (Feature("carrier"),)), "takes encode 'code' or 'onehot'"),
    (Tensor("t", "FP32", (Feature("hour", "code"),)), "takes encode 'value'"),
    (Tensor("t", "INT64", (Feature("speed", missing=0),)), "does not fit into INT64"),
    (Tensor("t", "INT64", (Feature("hour"),)), "has no NaN"),
    (Tensor("t", "INT64", (Feature("hour", missing=0.5),)), "whole number"),
    (Tensor("t", "INT32", (Feature("count", missing=0),)), "may exceed INT32"),
    (Tensor("t", "INT32", (Feature("hour", missing=2**31),)), "both INT32 and float64 hold"),
    (Tensor("t", "INT64", (Feature("count", missing=2**53 + 1),)), "both INT64 and float64 hold"),
    (Tensor("t", "INT64", (Feature("count", missing=1e30),)), "both INT64 and float64 hold"),
]


@pytest.mark.parametrize(("tensor", "reason"), REFUSED)
def test_features_must_suit_field_and_tensor(tensor: Tensor, reason: str) -> None:
    with pytest.raises(ContractError, match=reason):
        Packing(CONTRACT, [tensor])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({}, "'tensors' is missing"),
        ({"tensors": [], "x": 1}, "unknown key 'x'"),
        ({"tensors": [{"name": "t", "dtype": "FP32"}]}, "'features' is missing"),
        (
            {"tensors": [{"name": "t", "dtype": "FP32", "features": [{"field": "a", "fill": 1}]}]},
            "unknown key 'fill'",
        ),
        (
            {
                "tensors": [
                    {"name": "t", "dtype": "FP32", "features": [{"field": "a", "missing": "0"}]}
                ]
            },
            "must be a number",
        ),
    ],
)
def test_wrong_descriptions_are_named(data: dict[str, Any], reason: str) -> None:
    with pytest.raises(ContractError, match=reason):
        Packing.from_dict(CONTRACT, data)


def test_tensor_names_must_differ() -> None:
    tensor = Tensor("t", "FP32", (Feature("hour"),))
    with pytest.raises(ContractError, match="must differ"):
        Packing(CONTRACT, [tensor, tensor])


def test_what_would_reach_beyond_a_buffer_is_refused() -> None:
    other = Contract([Field(name="a", kind=Kind.BOOL)])
    with pytest.raises(ValueError, match="another contract"):
        PACKING.pack_row(other.new_row())
    columns, _ = other.check_columns({"a": [True]})
    with pytest.raises(ValueError, match="another contract"):
        PACKING.pack_columns(columns)
    with pytest.raises(ValueError, match="reach beyond"):
        TensorPacker([(0, 0, 3, 1, 0, 0, 0.0)], 0, 3)
    packer = PACKING.packers[0]
    with pytest.raises(ValueError, match="shape"):
        packer.pack_row(CONTRACT.new_row(), np.empty((1, 9), dtype=np.float32))


@pytest.mark.parametrize("dtype", ["INT32", "INT64"])
def test_flagged_fractions_become_the_number_for_missing_ones(dtype: str) -> None:
    contract = Contract([Field(name="x", kind=Kind.INT32, policy=Policy.FLAG)])
    packing = Packing(contract, [Tensor("t", dtype, (Feature("x", missing=-1),))])
    row = contract.new_row()
    for value in (2.5, float("inf"), None):
        assert contract.check_row({"x": value}, row) is not None
        assert packing.pack_row(row)["t"].tolist() == [[-1]]
        columns, _ = contract.check_columns({"x": [value]})
        assert packing.pack_columns(columns)["t"].tolist() == [[-1]]


def test_a_wide_packing_looks_at_each_field_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    contract = Contract([Field(name=f"x{one}", kind=Kind.FLOAT64) for one in range(300)])
    tensor = Tensor("wide", "FP64", tuple(Feature(name) for name in contract.names))
    looks = 0
    original = Kind.is_vector.fget  # type: ignore[attr-defined]

    def counted(kind: Kind) -> bool:
        nonlocal looks
        looks += 1
        return bool(original(kind))

    monkeypatch.setattr(Kind, "is_vector", property(counted))
    assert Packing(contract, [tensor]).widths == {"wide": 300}
    assert looks <= 10 * 300
