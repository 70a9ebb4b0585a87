"""Fields that the data suggest, and references from them."""

import numpy as np
import pyarrow as pa
import pytest

from gnomon.core.fields import ContractError, Field, Kind, Rule
from gnomon.core.profiling import build_reference
from gnomon.pipeline.datasets.dataset import Dataset, DatasetError
from gnomon.pipeline.profiles.profile import build_profile, derive_fields, with_outputs
from gnomon.runtime.packages.profile import decode_profile, encode_profile


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(5)
    count = 3000
    days = np.repeat(np.arange(30), 100)
    cold = rng.normal(size=30)[days] * 10 + rng.normal(size=count)
    return Dataset(
        pa.table(
            {
                "day": days,
                "city": rng.choice(["Oslo", "Bergen"], count),
                "kilometres": pa.array(rng.uniform(10, 110, count)),
                "degrees": pa.array(np.where(rng.random(count) < 0.1, np.nan, cold)),
                "stops": rng.integers(0, 11, count),
                "night": rng.random(count) < 0.5,
                "empty": pa.nulls(count, pa.float64()),
                "code": [f"code-{number}" for number in range(count)],
            }
        ),
        "memory:",
    )


def test_fields_are_derived_from_the_data(data):
    names = ["city", "kilometres", "degrees", "stops", "night", "code"]
    city, kilometres, degrees, stops, night, code = derive_fields(data, names)
    assert (city.kind, city.allowed) == (Kind.CATEGORY, ("Bergen", "Oslo"))
    assert kilometres.kind is Kind.FLOAT64
    assert kilometres.minimum == 0
    assert 158 < kilometres.maximum < 162
    assert not kilometres.nullable
    assert degrees.nullable
    assert 0.2 < degrees.missing_allowance < 0.3
    assert degrees.minimum < np.nanmin(data.columns(["degrees"])["degrees"])
    assert (stops.kind, stops.minimum, stops.maximum) == (Kind.INT64, 0, 15)
    assert night.kind is Kind.BOOL
    assert (code.kind, code.maximum_length) == (Kind.STRING, 18)


def test_a_person_overrides_any_part(data):
    (field,) = derive_fields(
        data, ["stops"], overrides={"stops": {"maximum": 99, "monitored": False, "unit": "stops"}}
    )
    assert (field.minimum, field.maximum, field.monitored, field.unit) == (0, 99, False, "stops")


@pytest.mark.parametrize(
    ("names", "overrides", "error", "message"),
    [
        (["towns"], {}, DatasetError, "'towns'"),
        (["city"], {"town": {}}, DatasetError, "'town'"),
        (["empty"], {}, DatasetError, "holds no value"),
        (["stops"], {"stops": {"minimum": 50, "maximum": 9}}, ContractError, "stops"),
    ],
)
def test_what_makes_no_field_is_refused(data, names, overrides, error, message):
    with pytest.raises(error, match=message):
        derive_fields(data, names, overrides=overrides)


def test_profile_counts_all_rows_and_sees_that_days_differ(data):
    inputs = derive_fields(data, ["city", "kilometres", "degrees"])
    outputs = (Field(name="cost", kind=Kind.FLOAT64, minimum=0),)
    days = data.columns(["day"])["day"]
    cost = data.columns(["kilometres"])["kilometres"] * 2
    rules = (Rule(name="near", expression="kilometres < 1000"),)
    profile = build_profile(data, inputs, outputs, {"cost": cost}, rules=rules, blocks=days)
    by_name = {one.name: one for one in profile.input_reference.fields}
    assert {name: one.rows for name, one in by_name.items()} == dict.fromkeys(by_name, 3000)
    missing = by_name["degrees"].counts[by_name["degrees"].missing_cell]
    assert missing == np.isnan(data.columns(["degrees"])["degrees"]).sum()
    assert by_name["degrees"].design_effect > 20
    assert by_name["kilometres"].design_effect < 3
    assert profile.output_reference.fields[0].maximum == pytest.approx(cost.max())
    assert decode_profile(encode_profile(profile)) == profile
    other = with_outputs(profile, {"cost": cost + 5}, blocks=days)
    assert other.input_reference == profile.input_reference
    assert other.output_reference != profile.output_reference


def smooth_days(coefficient):
    """A value that each day takes over from the day before, one with no memory if 0."""
    rng, level, levels = np.random.default_rng(3), 0.0, []
    for _ in range(200):
        level = coefficient * level + rng.normal()
        levels.append(level)
    days = np.repeat(np.arange(200), 20)
    values = np.array(levels)[days] + rng.normal(size=len(days))
    return days, Dataset(pa.table({"x": values, "y": rng.normal(size=len(days))}), "memory:")


def test_effects_that_last_over_days_weigh_more():
    effects = {}
    for coefficient in (0.0, 0.9):
        days, data = smooth_days(coefficient)
        inputs = derive_fields(data, ["x", "y"])
        output = (Field(name="z", kind=Kind.FLOAT64),)
        z = {"z": data.columns(["y"])["y"]}
        profile = build_profile(data, inputs, output, z, blocks=days)
        daily = build_reference(inputs, data.columns(["x", "y"]), blocks=days)
        x, y = profile.input_reference.fields
        effects[coefficient] = x.design_effect / daily.fields[0].design_effect
        assert profile.input_reference.block_rows == 20
        assert y.design_effect < 2
    assert effects[0.9] > 2.5
    assert effects[0.0] < 1.5


def test_fields_that_are_not_monitored_form_no_pairs(data):
    names = ["kilometres", "degrees", "stops"]
    inputs = derive_fields(data, names, overrides={"stops": {"monitored": False}})
    outputs = (Field(name="cost", kind=Kind.FLOAT64),)
    cost = {"cost": data.columns(["kilometres"])["kilometres"]}
    reference = build_profile(data, inputs, outputs, cost).input_reference
    assert [one.name for one in reference.pairs] == ["kilometres × degrees"]
    assert not reference.fields[2].monitored
