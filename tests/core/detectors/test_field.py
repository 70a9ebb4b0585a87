import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.core.detectors import Alarm, ChangeKind, FieldDetector, StateMismatch
from gnomon.core.detectors.build import build_tilt_set
from gnomon.core.reference import FieldReference

BUDGET = 10_000 * 13


def first_alarm(detector, draw, windows=60):
    for number in range(1, windows + 1):
        alarm = detector.update(draw())
        if alarm is not None:
            return number, alarm
    return None


def detector_of(reference, **options):
    return FieldDetector(reference, windows_per_false_alarm=BUDGET, **options)


@pytest.mark.parametrize(
    ("change", "kind", "within", "distance"),
    [
        ({"shift": 0.1}, ChangeKind.LOCATION, 20, (0.03, 0.25)),
        ({"shift": -0.5}, ChangeKind.LOCATION, 1, (-0.7, -0.35)),
        ({"spread": 1.4}, ChangeKind.SCALE, 1, (1.2, 1.7)),
        ({"spread": 0.7}, ChangeKind.SCALE, 2, (0.6, 0.8)),
        ({"gone": 0.06}, ChangeKind.MISSING, 2, (0.02, 0.08)),
    ],
)
def test_a_change_is_found_named_and_sized(speed, window, change, kind, within, distance):
    detector = detector_of(speed)
    for _ in range(50):
        assert detector.update(window()) is None
    number, alarm = first_alarm(detector, lambda: window(**change))
    assert number <= within
    assert alarm.kind is kind
    assert distance[0] <= alarm.distance <= distance[1]
    assert abs(alarm.since - number) <= 3
    assert alarm.evidence >= alarm.threshold == pytest.approx(np.log(BUDGET))
    assert alarm.description.startswith("speed")


def test_a_sentinel_below_the_reference_is_found_at_once(speed, window):
    detector = detector_of(speed)
    counts = window()
    counts[0] += 8
    alarm = detector.update(counts)
    assert isinstance(alarm, Alarm)
    assert alarm.kind is ChangeKind.BELOW


def test_kilometres_instead_of_miles_are_named():
    generator = np.random.default_rng(3)
    miles = generator.gamma(3.0, 300.0, 10_000)
    edges = np.quantile(miles, np.linspace(0, 1, 17))
    inside = np.histogram(miles, edges)[0]
    reference = FieldReference(
        "distance",
        "numeric",
        edges=tuple(edges.tolist()),
        counts=(0, *(int(count) for count in inside), 0, 0, 0),
    )
    found = np.searchsorted(edges, generator.gamma(3.0, 300.0, 300) * 1.609344, side="right")
    alarm = detector_of(reference).update(np.bincount(found, minlength=20))
    assert alarm is not None
    assert alarm.kind is ChangeKind.UNIT
    assert "miles to kilometres" in alarm.description
    assert alarm.distance == pytest.approx(1.609344)


def test_no_change_no_alarm_over_many_references():
    alarms = 0
    for seed in range(20):
        generator = np.random.default_rng(seed)
        known = generator.multinomial(2000, [0.2, 0.3, 0.1, 0.35, 0.05])
        reference = FieldReference(
            "site",
            "category",
            categories=("a", "b", "c", "d"),
            counts=(*known[:4].tolist(), 0, 0, 0),
        )
        detector = detector_of(reference)
        shares = np.array([0.2, 0.3, 0.1, 0.35]) / 0.95
        for counts in generator.multinomial(500, [*shares, 0, 0, 0], size=400):
            alarms += detector.update(counts) is not None
    assert alarms <= 1  # of 8,000 windows; one reference here lies 3.9 σ off


def test_a_tolerated_shift_gathers_no_evidence_and_a_larger_one_does(speed, window):
    detector = detector_of(speed, tolerance=0.15)
    assert first_alarm(detector, lambda: window(shift=0.1), windows=300) is None
    assert first_alarm(detector, lambda: window(shift=0.4)) is not None


def test_the_design_effect_makes_copied_rows_count_once(speed, window):
    detector = detector_of(speed, design_effect=10.0)
    assert first_alarm(detector, lambda: 10 * window(rows=50), windows=300) is None
    careless = detector_of(speed)
    assert first_alarm(careless, lambda: 10 * window(rows=50), windows=300) is not None


def test_short_windows_of_a_block_have_a_smaller_design_effect(speed, window):
    slow = detector_of(speed, design_effect=50.0)
    quick = detector_of(speed, design_effect=50.0, block_rows=1000)
    moved = [window(shift=1.0, rows=100) for _ in range(40)]
    late = next(n for n, counts in enumerate(moved) if slow.update(counts))
    early = next(n for n, counts in enumerate(moved) if quick.update(counts))
    assert early < late


def test_the_state_continues_as_if_nothing_had_happened(speed, window):
    one, other = detector_of(speed), detector_of(speed)
    for _ in range(5):
        one.update(window(shift=0.05))
    other.restore(one.state())
    for _ in range(20):
        counts = window(shift=0.08)
        assert one.update(counts) == other.update(counts)
        assert one.state() == other.state()


def test_a_state_of_another_field_is_refused(speed):
    other = FieldReference("flag", "category", categories=("no", "yes"), counts=(9, 9, 0, 0, 0))
    with pytest.raises(StateMismatch, match="speed"):
        detector_of(speed).restore(detector_of(other).state())


def test_wrong_cells_and_wrong_parameters_are_refused(speed):
    with pytest.raises(ValueError, match="36"):
        detector_of(speed).update(np.zeros(5, np.int64))
    for wrong in ({"share": 0.0}, {"tolerance": -1.0}, {"design_effect": 0.5}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            detector_of(speed, **wrong)


def naive(tilt_set, windows):
    """Shiryaev-Roberts over the dense and the group tilts, in plain Python."""
    evidence = np.zeros(len(tilt_set.weight))
    for counts in windows:
        rows = counts.sum()
        for index, tilt in enumerate(evidence):
            if tilt_set.reach[index] < 0:
                continue
            if index < len(tilt_set.dense):
                score = float(tilt_set.dense[index] @ counts)
            else:
                inside = tilt_set.cell_group == tilt_set.group[index]
                score = float(tilt_set.theta[index] * counts[inside].sum())
            span = max(rows, tilt_set.reach[index])
            cost = rows * (tilt_set.linear[index] + span * tilt_set.quadratic[index])
            evidence[index] = (1 + tilt) * np.exp(score - cost) if score - cost > -25 else 0.0
    return evidence


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.lists(st.integers(0, 60), min_size=12, max_size=12).filter(any), min_size=1, max_size=4
    )
)
def test_the_kernel_equals_the_naive_loop(windows):
    reference = FieldReference(
        "x",
        "numeric",
        edges=tuple(float(edge) for edge in range(9)),
        counts=(0, *[100] * 8, 0, 50, 0),
    )
    detector = FieldDetector(reference, windows_per_false_alarm=1e300)
    arrays = [np.array(counts, dtype=np.int64) for counts in windows]
    for counts in arrays:
        detector.update(counts)
    tilt_set = build_tilt_set(
        reference, tolerance=0.0, design_effect=1.0, threshold=detector.threshold
    )
    kernel = detector._kernel.get_state()[0]
    usual = tilt_set.reach >= 0
    np.testing.assert_allclose(kernel[usual], naive(tilt_set, arrays)[usual], rtol=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 10**7), min_size=36, max_size=36))
def test_any_counts_are_survived(counts):
    reference = FieldReference(
        "x",
        "numeric",
        edges=tuple(float(edge) for edge in range(33)),
        counts=(0, *[9] * 32, 0, 0, 0),
    )
    detector = detector_of(reference)
    for _ in range(3):
        detector.update(np.array(counts, dtype=np.int64))
        assert np.isfinite(detector.evidence)


def test_the_mean_evidence_of_one_window_is_at_most_one():
    """Over references and windows drawn from one truth, every tilt's e-value averages to ≤ 1."""
    generator = np.random.default_rng(5)
    shares = np.array([0.0, *[0.125] * 8, 0.0, 0.0, 0.0])
    total, repeats = 0.0, 250
    for _ in range(repeats):
        known = generator.multinomial(1000, shares)
        reference = FieldReference(
            "x",
            "numeric",
            edges=tuple(float(edge) for edge in range(9)),
            counts=tuple(int(count) for count in known),
        )
        detector = FieldDetector(reference, windows_per_false_alarm=1e12)
        detector.update(generator.multinomial(200, shares))
        total += float(np.exp(detector.evidence))
    assert total / repeats < 1.0
