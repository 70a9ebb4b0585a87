import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.core.detectors import (
    ChangeKind,
    ConfidenceCalibration,
    LossDetector,
    ModelDetector,
    PairDetector,
    SeasonDetector,
    StateMismatch,
    discover,
)
from gnomon.core.reference import FieldReference, PairReference, Reference

LEVELS = ("red", "blue")


def colour(red=5000, blue=5000, name="colour"):
    return FieldReference(name, "category", categories=LEVELS, counts=(red, blue, 0, 0, 0))


def counts(red, blue):
    return np.array([red, blue, 0, 0, 0])


def test_a_pair_finds_the_flip_and_ignores_incomplete_rows():
    pair = PairDetector(PairReference("a", "b", (7000, 3000, 0)), windows_per_false_alarm=1e5)
    for incomplete in (0, 100, 400):
        assert pair.update(np.array([350, 150, incomplete])) is None
    alarm = pair.update(np.array([150, 350, 0]))
    assert alarm.kind is ChangeKind.CORRELATION
    assert alarm.field == "a × b"
    assert alarm.distance == pytest.approx(-0.4, abs=0.05)


def test_a_model_names_fields_pairs_and_outputs_and_leaves_out_the_unmonitored():
    hour = FieldReference(
        "hour", "category", categories=LEVELS, counts=(9, 9, 0, 0, 0), monitored=False
    )
    edges = {"edges": (0.0, 1.0, 2.0), "counts": (0, 5000, 5000, 0, 0, 0)}
    numbers = [FieldReference(name, "numeric", **edges) for name in ("x", "y")]
    inputs = Reference(
        (hour, *numbers, colour()), pairs=(PairReference("x", "y", (8000, 2000, 0)),)
    )
    model = ModelDetector(inputs, Reference((colour(name="answer"),)))
    same = np.array([0, 250, 250, 0, 0, 0])
    steady = ([counts(500, 0), same, same, counts(250, 250)], [np.array([400, 100, 0])])
    assert model.update(*steady, [counts(250, 250)]) == []
    before = model.state()
    alarms = model.update(
        [counts(0, 500), same, np.array([0, 250, 200, 0, 50, 0]), counts(250, 250)],
        [np.array([100, 400, 0])],
        [counts(400, 100)],
    )
    assert {alarm.field for alarm in alarms} == {"y", "x × y", "answer"}
    model.restore(before)
    assert model.state() == before
    assert set(model.evidence) == {"x", "y", "colour", "answer", "x × y"}
    with pytest.raises(StateMismatch):
        model.restore(before[:-8])
    with pytest.raises(ValueError, match="counts of 1, expected 4"):
        model.update([same])


def test_the_shares_of_a_model_add_up_to_its_budget():
    sides = Reference((colour(), colour(name="size")))
    model = ModelDetector(sides, sides, windows_per_false_alarm=1000)
    shares = [1000 * np.exp(-one.threshold) for one in model._watches()]
    assert sum(shares) == pytest.approx(1.0)


def test_a_season_compares_like_with_like():
    references = {
        "winter": Reference((colour(2000, 8000),)),
        "summer": Reference((colour(8000, 2000),)),
    }
    season = SeasonDetector(references)
    for _ in range(20):
        assert season.update("winter", [counts(100, 400)]) == []
        assert season.update("summer", [counts(400, 100)]) == []
    twin = SeasonDetector(references)
    twin.restore(season.state())
    assert season.update("winter", [counts(400, 100)]) == twin.update("winter", [counts(400, 100)])
    with pytest.raises(KeyError, match="spring"):
        season.update("spring", [counts(1, 1)])
    with pytest.raises(StateMismatch):
        twin.restore(b"\0\0")


def test_losses_tell_harmful_from_harmless():
    generator = np.random.default_rng(0)
    held_out = generator.random(5000) < 0.1
    detector = LossDetector(held_out, windows_per_false_alarm=10_000, tolerance=0.03)
    for _ in range(200):
        assert detector.update(generator.random(100) < 0.1) is None
    assert detector.harmless
    detector.restart()
    assert not detector.harmless
    delay = next(n for n in range(100) if detector.update(generator.random(100) < 0.3))
    assert delay < 10
    assert not detector.harmless


def test_losses_without_a_bound_are_capped():
    generator = np.random.default_rng(1)
    held_out = generator.exponential(3.0, 5000)
    scale = float(np.quantile(held_out, 0.99))
    detector = LossDetector(held_out, windows_per_false_alarm=10_000, scale=scale, name="error")
    for _ in range(50):
        assert detector.update(generator.exponential(3.0, 200)) is None
    twin = LossDetector(held_out, windows_per_false_alarm=10_000, scale=scale, name="error")
    twin.restore(detector.state())
    for _ in range(30):
        worse = generator.exponential(6.0, 200)
        alarm = detector.update(worse)
        assert alarm == twin.update(worse)
        if alarm is not None:
            break
    assert alarm.kind is ChangeKind.LOSS
    assert alarm.distance > 1.0
    with pytest.raises(ValueError, match="error"):
        detector.update([float("nan")])
    with pytest.raises(ValueError, match="limit"):
        LossDetector(np.ones(100), windows_per_false_alarm=10)


def test_estimated_accuracy_covers_the_true_one():
    generator = np.random.default_rng(2)
    truth = np.array([0.55, 0.7, 0.85, 0.97])
    rows = np.array([2000, 2000, 2000, 2000])
    calibration = ConfidenceCalibration(rows, generator.binomial(rows, truth))
    inside = 0
    for _ in range(200):
        window = generator.multinomial(300, [0.4, 0.3, 0.2, 0.1])
        accuracy = generator.binomial(window, truth).sum() / window.sum()
        estimate = calibration.estimate(window)
        inside += estimate.low <= accuracy <= estimate.high
    assert inside >= 180
    with pytest.raises(ValueError, match="right"):
        ConfidenceCalibration([1, 2], [2, 2])
    with pytest.raises(ValueError, match="row"):
        calibration.estimate([0, 0, 0, 0])


@given(st.lists(st.floats(-20, 20), max_size=30), st.floats(0.01, 0.5))
def test_discoveries_equal_the_definition(evidence, level):
    named = discover(evidence, level)
    ordered = sorted(evidence, reverse=True)
    total = len(evidence)
    best = max(
        (k for k in range(1, total + 1) if ordered[k - 1] >= np.log(total / (level * k))), default=0
    )
    assert [evidence[index] for index in named] == ordered[:best]
