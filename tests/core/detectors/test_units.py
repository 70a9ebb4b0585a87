"""A change of unit is named where it explains the window, and a season never is one."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.core.detectors import ChangeKind, FieldDetector, FleetDetector
from gnomon.core.detectors.units import slips
from gnomon.core.reference import FieldReference

SPREAD = st.floats(0.5, 1.5)


def reference_of(values, name, unit, bins=32):
    edges = np.unique(np.quantile(values, np.linspace(0, 1, bins + 1)))
    counts = np.histogram(values, edges)[0].tolist()
    return FieldReference(
        name, "numeric", edges=tuple(edges.tolist()), counts=(0, *counts, 0, 0, 0), unit=unit
    )


def cells(reference, values):
    found = np.searchsorted(np.array(reference.edges), values, side="right")
    return np.bincount(found, minlength=reference.cells).astype(np.int64)


def kinds(reference, draw, windows=4):
    detector = FieldDetector(reference, windows_per_false_alarm=10_000)
    alarms = [detector.update(cells(reference, draw())) for _ in range(windows)]
    return [alarm for alarm in alarms if alarm is not None]


@pytest.mark.parametrize("unit", ["", "°F", "miles"])
@pytest.mark.parametrize("bins", [8, 16, 32])
@pytest.mark.parametrize(("mean", "spread"), [(69, 10), (69, 8), (56, 10), (77, 12), (16, 10)])
def test_a_season_is_no_change_of_unit(unit, bins, mean, spread):
    generator = np.random.default_rng(7)
    winter = reference_of(generator.normal(35, 10, 10_000), "temp", unit, bins)
    for rows in (40, 400, 4_000):
        alarms = kinds(winter, lambda rows=rows: generator.normal(mean, spread, rows))
        assert alarms
        assert {alarm.kind for alarm in alarms} <= {
            ChangeKind.LOCATION,
            ChangeKind.ABOVE,
            ChangeKind.BELOW,
        }
        assert not any("unit" in alarm.description for alarm in alarms)


# Near −3.3 σ lies, by accident, the same winter in Celsius.
@pytest.mark.slow
@given(st.floats(-3.0, 3.5), st.integers(0, 9), st.sampled_from(["", "°F", "miles"]))
@settings(max_examples=25, deadline=None)
def test_no_shift_of_any_size_is_a_change_of_unit(shift, seed, unit):
    generator = np.random.default_rng(seed)
    for values in (generator.normal(35, 10, 5_000), generator.gamma(3.0, 300.0, 5_000)):
        reference = reference_of(values, "temp", unit, 16)
        deviation = values.std()
        alarms = kinds(
            reference,
            lambda v=values, d=deviation: generator.choice(v, 500) + shift * d,
        )
        assert all(alarm.kind is not ChangeKind.UNIT for alarm in alarms)


@pytest.mark.parametrize("unit", ["", "mi", "Miles"])
@pytest.mark.parametrize("bins", [16, 32])
def test_kilometres_are_named_whether_the_unit_is_known_or_not(unit, bins):
    generator = np.random.default_rng(3)
    miles = reference_of(generator.gamma(3.0, 300.0, 10_000), "distance", unit, bins)
    alarm = kinds(miles, lambda: generator.gamma(3.0, 300.0, 500) * 1.609344)[0]
    assert alarm.kind is ChangeKind.UNIT
    assert alarm.distance == pytest.approx(1.609344)
    assert alarm.description.endswith(": miles to kilometres")


@pytest.mark.parametrize("bins", [8, 32])
def test_celsius_for_fahrenheit_is_named(bins):
    generator = np.random.default_rng(3)
    winter = reference_of(generator.normal(35, 10, 10_000), "temp", "°F", bins)
    alarm = kinds(winter, lambda: (generator.normal(35, 10, 500) - 32) / 1.8)[0]
    assert alarm.kind in (
        {ChangeKind.UNIT} if bins == 32 else {ChangeKind.UNIT, ChangeKind.LOCATION}
    )
    if alarm.kind is ChangeKind.UNIT:
        assert alarm.description.endswith(": Fahrenheit to Celsius")


def test_a_device_in_kilometres_is_named_beside_its_peers():
    generator = np.random.default_rng(5)
    reference = reference_of(generator.gamma(3.0, 300.0, 10_000), "distance", "miles", 16)
    fleet = FleetDetector([reference], windows_per_false_alarm=1_000)
    factors = {"a": 1.0, "b": 1.0, "c": 1.0, "d": 1.609344}
    # All fly farther in summer, so that the reference says nothing of the peers.
    found = fleet.update(
        {
            source: [cells(reference, (generator.gamma(3.0, 300.0, 400) + 100) * factor)]
            for source, factor in factors.items()
        }
    )
    (alone,) = found.outliers
    assert alone[0] == "d"
    assert alone[1].kind is ChangeKind.UNIT and alone[1].description.endswith("miles to kilometres")


def test_only_units_of_the_same_quantity_are_plausible():
    assert {slip.label for slip in slips("kg")} == {
        "kilograms to grams",
        "kilograms to tonnes",
        "kilograms to pounds",
        "kilograms to ounces",
    }
    assert [slip.factor for slip in slips("lb") if slip.label == "pounds to kilograms"] == [
        pytest.approx(0.45359237)
    ]
    kelvin = {slip.label: (slip.factor, slip.offset) for slip in slips("°C")}
    assert kelvin["Celsius to kelvin"] == (1.0, pytest.approx(273.15))
    assert kelvin["Celsius to Fahrenheit"] == (pytest.approx(1.8), pytest.approx(32.0))
    assert all("to" not in slip.label for slip in slips("passengers"))


def test_the_unit_is_no_part_of_the_layout_and_survives_json():
    from gnomon.core.reference import Reference

    known = reference_of(np.arange(100.0), "distance", "miles", 8)
    unknown = dataclasses.replace(known, unit="")
    assert known.layout == unknown.layout
    assert Reference.from_dict(Reference((known,)).to_dict()).fields[0].unit == "miles"
    assert "unit" not in Reference((unknown,)).to_dict()["fields"][0]
