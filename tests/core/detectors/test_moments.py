"""A cause is named only if the window's own mean, deviation and extremes agree with it."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.core.detectors import ChangeKind, FieldDetector, FleetDetector
from gnomon.core.detectors.moments import NO_MOMENTS, MomentCheck, merge_moments
from gnomon.core.detectors.units import slips
from gnomon.core.reference import FieldReference
from gnomon.core.window.reading import Moments


def moments(values):
    return Moments(
        len(values),
        float(values.mean()),
        float(values.var()),
        float(values.min()),
        float(values.max()),
        False,
    )


def reference_of(values, unit="°F", bins=32):
    edges = np.unique(np.quantile(values, np.linspace(0, 1, bins + 1)))
    counts = np.histogram(values, edges)[0].tolist()
    known = moments(values)
    return FieldReference(
        "temp",
        "numeric",
        edges=tuple(edges.tolist()),
        counts=(0, *counts, 0, 0, 0),
        mean=known.mean,
        variance=known.variance,
        minimum=known.minimum,
        maximum=known.maximum,
        unit=unit,
    )


def cells(reference, values):
    found = np.searchsorted(np.array(reference.edges), values, side="right")
    return np.bincount(found, minlength=reference.cells).astype(np.int64)


def first_alarm(reference, draw, windows=10):
    detector = FieldDetector(reference, windows_per_false_alarm=10_000)
    for _ in range(windows):
        values = draw()
        alarm = detector.update(cells(reference, values), moments(values))
        if alarm is not None:
            return alarm
    return None


def assert_agrees(alarm, before, seen):
    """Hold what an alarm says against the values themselves."""
    if alarm.kind is ChangeKind.UNIT:
        labels = alarm.description.partition(": ")[2].split(" or ")
        maps = [one for one in slips("°F") if one.label in labels] or [
            one for one in slips("") if one.label in labels
        ]
        assert any(
            abs(one.factor * before.mean() + one.offset - seen.mean())
            < 1.5 * abs(one.factor) * before.std()
            for one in maps
        )
    if alarm.kind is ChangeKind.LOCATION:
        moved = (seen.mean() - before.mean()) * math.copysign(1, alarm.distance)
        assert moved > -3.1 * max(seen.std(), before.std()) / math.sqrt(len(seen))
    if alarm.kind is ChangeKind.SCALE:
        # Normal scores and deviations may differ a little, as of a heavy tail; not by more.
        spread = math.log(seen.std() / before.std()) * math.copysign(1, alarm.distance - 1)
        assert spread > -3.1 / math.sqrt(2 * len(seen))
        assert spread > abs(math.log(alarm.distance)) - math.log(2.1)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("before", "after"),
    [((35.5, 11), (90, 5)), ((35.5, 9.5), (82, 7)), ((35.5, 9.5), (82.9, 9)), ((70, 6), (20, 9))],
)
def test_a_summer_beyond_the_reference_is_a_shift(before, after, seed):
    generator = np.random.default_rng(seed)
    values = generator.normal(*before, 10_000)
    alarm = first_alarm(reference_of(values), lambda: generator.normal(*after, 300))
    assert alarm.kind in (ChangeKind.LOCATION, ChangeKind.ABOVE, ChangeKind.BELOW)
    assert "unit" not in alarm.description and "wide" not in alarm.description


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("mean", "spread", "is_named"),
    [(68, 9, True), (63, 8, True), (73, 10, True), (68, 5, False), (60, 5, False), (80, 9, False)],
)
def test_fahrenheit_for_celsius_is_named_only_if_mean_and_deviation_follow_the_law(
    mean, spread, is_named, seed
):
    """All values lie above the reference, N(20, 5) in °C: the law gives N(68, 9)."""
    generator = np.random.default_rng(seed)
    reference = reference_of(generator.normal(20, 5, 10_000), "°C")
    alarm = first_alarm(reference, lambda: generator.normal(mean, spread, 300))
    assert alarm.description.endswith(": Celsius to Fahrenheit") == is_named
    if not is_named:
        assert alarm.kind is not ChangeKind.UNIT


@settings(max_examples=40, deadline=None)
@given(
    st.floats(-8, 8),
    st.floats(0.2, 5.0),
    st.sampled_from(["°F", "", "miles", "s"]),
    st.sampled_from(["normal", "gamma", "lognormal"]),
    st.integers(0, 10_000),
)
def test_no_alarm_contradicts_its_window(shift, spread, unit, law, seed):
    generator = np.random.default_rng(seed)
    draw = {
        "normal": lambda rows: generator.normal(35, 10, rows),
        "gamma": lambda rows: generator.gamma(3.0, 300.0, rows),
        "lognormal": lambda rows: generator.lognormal(0, 1, rows),
    }[law]
    before = draw(4_000)
    middle, deviation = float(before.mean()), float(before.std())
    reference = reference_of(before, unit, 16)
    detector = FieldDetector(reference, windows_per_false_alarm=1_000)
    for _ in range(3):
        seen = middle + shift * deviation + spread * (draw(300) - middle)
        alarm = detector.update(cells(reference, seen), moments(seen))
        if alarm is not None:
            assert_agrees(alarm, before, seen)


@pytest.mark.parametrize(
    ("unit", "factor", "label"),
    [
        ("miles", 1.609344, "miles to kilometres"),
        ("s", 1000.0, "seconds to milliseconds"),
        ("kg", 1000.0, "kilograms to grams"),
    ],
)
def test_a_true_change_of_unit_is_still_named(unit, factor, label):
    generator = np.random.default_rng(3)
    values = generator.lognormal(0, 1, 10_000)
    alarm = first_alarm(reference_of(values, unit), lambda: generator.lognormal(0, 1, 300) * factor)
    assert alarm.kind is ChangeKind.UNIT
    assert alarm.distance == pytest.approx(factor)
    assert alarm.description.endswith(f": {label}")


def test_kelvin_are_named_and_no_other_unit():
    generator = np.random.default_rng(3)
    values = generator.normal(35.5, 11, 10_000)
    kelvin = first_alarm(
        reference_of(values), lambda: (generator.normal(35.5, 11, 300) + 459.67) / 1.8
    )
    assert kelvin.description.endswith(": Fahrenheit to kelvin")


def test_without_moments_no_unit_is_named_of_values_beyond_the_reference():
    generator = np.random.default_rng(4)
    reference = reference_of(generator.normal(35.5, 11, 10_000))
    detector = FieldDetector(reference, windows_per_false_alarm=10_000)
    alarm = detector.update(cells(reference, generator.normal(90, 5, 300)))
    assert alarm.kind not in (ChangeKind.UNIT, ChangeKind.SCALE)


def test_a_source_in_a_heat_wave_is_not_in_kelvin():
    generator = np.random.default_rng(5)
    reference = reference_of(generator.normal(35.5, 11, 10_000))
    fleet = FleetDetector([reference], windows_per_false_alarm=1_000)
    values = {name: generator.normal(35, 8, 300) for name in "abc"}
    values["d"] = generator.normal(95, 4, 300)
    found = fleet.update(
        {name: [cells(reference, one)] for name, one in values.items()},
        moments_by_source={name: [moments(one)] for name, one in values.items()},
    )
    ((source, alarm),) = found.outliers
    assert source == "d"
    assert not re.search("unit|wide", alarm.description)


@pytest.mark.parametrize(("deviation", "is_wide"), [(20, True), (4, False)])
def test_a_source_is_not_wide_if_its_moments_are_not(deviation, is_wide):
    generator = np.random.default_rng(5)
    reference = reference_of(generator.normal(35.5, 11, 10_000))
    fleet = FleetDetector([reference], windows_per_false_alarm=1_000)
    values = {name: generator.normal(35, 8, 300) for name in "abc"}
    counts = {name: [cells(reference, one)] for name, one in values.items()}
    counts["d"] = [cells(reference, generator.normal(35, 20, 300))]
    values["d"] = generator.normal(35, deviation, 300)
    found = fleet.update(
        counts, moments_by_source={name: [moments(one)] for name, one in values.items()}
    )
    ((source, alarm),) = found.outliers
    assert (source, alarm.kind is ChangeKind.SCALE) == ("d", is_wide)


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=40), st.data())
def test_merged_moments_are_those_of_all_values(values, data):
    cut = data.draw(st.integers(1, len(values) - 1))
    everything = np.array(values)
    merged = merge_moments([moments(everything[:cut]), NO_MOMENTS, moments(everything[cut:])])
    wanted = moments(everything)
    assert (merged.count, merged.minimum, merged.maximum) == (
        wanted.count,
        wanted.minimum,
        wanted.maximum,
    )
    assert merged.mean == pytest.approx(wanted.mean, rel=1e-9, abs=1e-6)
    assert merged.variance == pytest.approx(wanted.variance, rel=1e-9, abs=1e-3)


@pytest.mark.parametrize("strange", [math.nan, math.inf, -1.0])
def test_moments_that_are_no_numbers_count_as_unknown(strange):
    usual = Moments(100, 0.0, 1.0, -3.0, 3.0, False)
    for outside in (False, True):
        check = MomentCheck(usual, replace(usual, variance=strange), outside)
        assert not check.is_known
        assert check.allows_shift(1.0)
        assert check.allows_map(2.0, 0.0) is check.allows_spread(2.0) is not outside
