"""Fields and rules refuse what contradicts itself, and travel through JSON."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.bench.core.contract_fuzz import draw_field
from gnomon.core.fields import ContractError, Field, Kind, Policy, Rule

REFUSED = [
    ({"name": "1st"}, "a name is"),
    ({"name": "a/b"}, "a name is"),
    ({"kind": "decimal"}, "use one of"),
    ({"policy": "ignore"}, "use one of"),
    ({"minimum": 2, "maximum": 1}, "must be below"),
    ({"minimum": 1, "maximum": 1, "minimum_open": True}, "must be below"),
    ({"minimum": float("nan")}, "finite number"),
    ({"minimum": True}, "finite number"),
    ({"kind": "string", "minimum": 1}, "numeric kind"),
    ({"kind": "int8", "minimum": 200}, "no int8 is between"),
    ({"kind": "int64", "minimum": 2**53}, "the kind takes -9007199254740991 to"),
    ({"kind": "uint8", "minimum": 0.2, "maximum": 0.8}, "no uint8 is between"),
    ({"kind": "category"}, "needs its allowed values"),
    ({"kind": "category", "allowed": []}, "at least one"),
    ({"kind": "category", "allowed": ["a", "a"]}, "different values"),
    ({"kind": "category", "allowed": ["a", 1]}, "is no category"),
    ({"kind": "category", "allowed": ["\ud800"]}, "is no category"),
    ({"kind": "bool", "allowed": [True]}, "not for kind bool"),
    ({"kind": "int8", "allowed": [300]}, "is no int8"),
    ({"kind": "int64", "allowed": [2**53]}, "is no int64"),
    ({"kind": "string", "allowed": ["a"], "pattern": "a"}, "already fixes every text"),
    ({"kind": "string", "pattern": "("}, "does not compile"),
    ({"kind": "float64", "pattern": "a"}, "needs kind string"),
    ({"kind": "string", "minimum_length": 3, "maximum_length": 2}, "must not exceed"),
    ({"kind": "string", "minimum_length": -1}, "0 or more"),
    ({"kind": "string", "integer": True}, "numeric kind"),
    ({"kind": "vector"}, "must list sizes"),
    ({"kind": "vector", "shape": [2, 2]}, "use kind tensor"),
    ({"kind": "tensor", "shape": [0]}, "must list sizes"),
    ({"shape": [2]}, "only for kinds"),
    ({"policy": "clip"}, "needs a minimum or a maximum"),
    ({"policy": "clip", "minimum": 0, "allowed": [1]}, "without a list"),
    ({"policy": "impute"}, "needs an impute value"),
    ({"impute": 1}, "needs policy 'impute'"),
    ({"policy": "impute", "impute": "a"}, "is no float64"),
    ({"policy": "impute", "impute": 5, "maximum": 4}, "breaks the field's own rules"),
    ({"kind": "bool", "policy": "impute", "impute": 1}, "is no bool"),
    ({"missing_allowance": 1.5}, "share between 0 and 1"),
    ({"nullable": 1}, "true or false"),
]


@pytest.mark.parametrize(("settings", "reason"), REFUSED)
def test_contradictions_are_refused_with_what_would_be_right(
    settings: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ContractError, match=reason):
        Field(**{"name": "field", "kind": "float64", **settings})


@settings(deadline=None)
@given(st.randoms(use_true_random=False))
def test_a_field_travels_through_json(random: Any) -> None:
    field = draw_field(random, "field")
    assert Field.from_dict(json.loads(json.dumps(field.to_dict()))) == field


def test_only_what_differs_from_the_defaults_is_written() -> None:
    field = Field(name="hour", kind=Kind.INT8, minimum=0, maximum=23, monitored=False)
    assert field.to_dict() == {
        "name": "hour",
        "kind": "int8",
        "minimum": 0,
        "maximum": 23,
        "monitored": False,
    }


def test_unknown_and_absent_keys_are_named() -> None:
    with pytest.raises(ContractError, match="'hour': unknown key 'minimun'; known are name, kind"):
        Field.from_dict({"name": "hour", "kind": "int8", "minimun": 0})
    with pytest.raises(ContractError, match="key 'kind' is missing"):
        Field.from_dict({"name": "hour"})
    with pytest.raises(ContractError, match="rule 'r': unknown key 'text'"):
        Rule.from_dict({"name": "r", "expression": "a > 1", "text": ""})


def test_a_rule_cannot_repair() -> None:
    with pytest.raises(ContractError, match="use 'reject' or 'flag'"):
        Rule(name="r", expression="a > 1", policy=Policy.CLIP)
    rule = Rule(name="r", expression="a > 1", policy=Policy.FLAG, message="a above 1")
    assert Rule.from_dict(json.loads(json.dumps(rule.to_dict()))) == rule


@pytest.mark.parametrize(
    ("settings", "bounds"),
    [
        ({"kind": "int8"}, (-128, 127)),
        ({"kind": "uint64"}, (0, 2**53 - 1)),
        ({"kind": "int64", "maximum": 2**60}, (1 - 2**53, 2**53 - 1)),
        ({"kind": "int8", "minimum": 0.5, "maximum": 9, "maximum_open": True}, (1, 8)),
        ({"kind": "int8", "minimum": -1000, "maximum": 1000}, (-128, 127)),
        ({"kind": "int8", "minimum": 0, "minimum_open": True, "maximum": 2.5}, (1, 2)),
    ],
)
def test_bounds_of_whole_numbers(settings: dict[str, Any], bounds: tuple[int, int]) -> None:
    assert Field(name="field", **settings).integer_bounds == bounds
