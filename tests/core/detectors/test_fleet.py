import numpy as np
import pytest

from gnomon.core.detectors import ChangeKind, FleetDetector, StateMismatch
from gnomon.core.reference import FieldReference
from tests.support.references import category_reference, cells, numeric_reference

SPEED, COLOUR = numeric_reference(), category_reference()


def make(**options):
    return FleetDetector([SPEED, COLOUR], windows_per_false_alarm=1000, **options)


def draw(generator, shift=0.0, red=0.5, rows=200):
    values = generator.standard_normal(rows) + shift
    colour = generator.multinomial(rows, [red, 1 - red, 0, 0, 0])
    return [cells(SPEED, values), colour]


def test_a_storm_that_moves_all_accuses_the_fleet_and_no_source_alone():
    generator, fleet = np.random.default_rng(0), make()
    accused, worlds = [], []
    for number in range(60):
        storm = np.sin(number) if number >= 20 else 0.0
        verdict = fleet.update({f"d{k}": draw(generator, storm) for k in range(4)})
        accused += verdict.outliers
        worlds += [number] * bool(verdict.fleet_wide)
    assert accused == []
    assert worlds
    assert worlds[0] >= 20


@pytest.mark.parametrize("sources", [3, 4, 30])
def test_one_broken_source_is_named_and_its_peers_are_not(sources):
    generator, fleet = np.random.default_rng(sources), make()
    names = [f"d{k}" for k in range(sources)]
    seen = []
    for number in range(60):
        broken = 0.5 if number >= 30 else 0.0
        verdict = fleet.update({name: draw(generator, broken * (name == "d1")) for name in names})
        seen += [(number, source, alarm) for source, alarm in verdict.outliers]
    assert {source for _, source, _ in seen} == {"d1"}
    number, _, alarm = seen[0]
    assert 30 <= number <= 34
    assert alarm.field == "speed"
    assert alarm.kind is ChangeKind.LOCATION
    assert 0.2 < alarm.distance < 0.9
    assert number - alarm.since + 1 >= 28


def test_a_broken_source_does_not_move_the_world():
    generator, fleet = np.random.default_rng(7), make(tolerance=0.1)
    for _ in range(60):
        sources = {f"d{k}": draw(generator) for k in range(4)}
        sources["d9"] = draw(generator, shift=3.0)
        verdict = fleet.update(sources)
        assert verdict.fleet_wide == []
        assert verdict.excluded == {"speed": ("d9",)}


def test_a_repaired_source_is_trusted_again():
    generator, fleet = np.random.default_rng(8), make()
    for number in range(40):
        broken = 1.0 if 10 <= number < 15 else 0.0
        names = ("a", "b", "c", "d")
        verdict = fleet.update({n: draw(generator, broken * (n == "a")) for n in names})
    assert verdict.excluded == {}


def test_sources_of_unequal_size_that_come_and_go():
    generator, fleet = np.random.default_rng(9), make()
    accused = []
    for number in range(60):
        sources = {"big": draw(generator, rows=20_000), "small": draw(generator, rows=20)}
        for k in range(4):
            if (number + k) % 3:
                sources[f"d{k}"] = draw(generator)
        if number >= 30:
            sources["big"] = draw(generator, shift=0.5, rows=20_000)
        if number % 10 == 0:
            sources["small"] = [np.zeros(SPEED.cells, np.int64), np.zeros(COLOUR.cells, np.int64)]
        accused += [source for source, _ in fleet.update(sources).outliers]
    assert set(accused) == {"big"}


def test_two_sources_cannot_be_distinguished():
    generator, fleet = np.random.default_rng(10), make()
    for _ in range(20):
        assert not fleet.update({"a": draw(generator), "b": draw(generator, 1.0)}).outliers


def test_a_missing_rate_of_one_source_is_found():
    generator, fleet = np.random.default_rng(11), make()
    for _ in range(10):
        fleet.update({f"d{k}": draw(generator) for k in range(4)})
    sources = {f"d{k}": draw(generator) for k in range(4)}
    sources["d2"][1] = np.array([90, 90, 0, 20, 0])
    verdict = fleet.update(sources)
    assert [(source, alarm.kind) for source, alarm in verdict.outliers] == [
        ("d2", ChangeKind.MISSING)
    ]


def test_peers_that_differ_within_the_tolerance_are_left_alone():
    generator, fleet = np.random.default_rng(12), make(peer_tolerance=0.3)
    for _ in range(60):
        verdict = fleet.update({f"d{k}": draw(generator, 0.1 * k - 0.15) for k in range(4)})
        assert not verdict.outliers


def test_under_no_difference_the_mean_evidence_is_at_most_one():
    generator = np.random.default_rng(13)
    total, repeats = 0.0, 150
    fleet = make()
    blank = fleet.state()
    for _ in range(repeats):
        fleet.restore(blank)
        storm = generator.normal()
        fleet.update({f"d{k}": draw(generator, storm, rows=60) for k in range(4)})
        total += float(np.exp(fleet._peers[0].evidence(fleet._state[0])).mean())
    assert total / repeats < 1.0


def test_the_state_continues_as_if_nothing_had_happened():
    generator, one, other = np.random.default_rng(14), make(), make()
    for _ in range(5):
        one.update({f"d{k}": draw(generator, 0.3 * (k == 2)) for k in range(4)})
    other.restore(one.state())
    for _ in range(5):
        sources = {f"d{k}": draw(generator, 0.3 * (k == 2)) for k in range(5)}
        assert one.update(sources) == other.update(sources)
    assert one.state() == other.state()


def test_foreign_states_and_misfit_counts_are_refused():
    fleet = make()
    for wrong in (b"", b"nonsense", FleetDetector([COLOUR], windows_per_false_alarm=9).state()):
        with pytest.raises(StateMismatch):
            fleet.restore(wrong)
    with pytest.raises(ValueError, match="source 'a', field 'colour': 4 cells"):
        fleet.update({"a": [np.zeros(SPEED.cells, np.int64), np.zeros(4, np.int64)]})
    with pytest.raises(ValueError, match="at least one"):
        FleetDetector([], windows_per_false_alarm=9)
    assert isinstance(SPEED, FieldReference)
