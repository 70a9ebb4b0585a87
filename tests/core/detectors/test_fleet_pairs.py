"""How two fields go together is asked of the world and of each source, under the one budget."""

import math

import numpy as np
import pytest

from gnomon.core.detectors import ChangeKind, FleetDetector, StateMismatch
from gnomon.core.fields import Field, Kind
from gnomon.core.profiling import build_reference
from gnomon.core.reference import PairReference
from gnomon.core.row import Columns
from gnomon.core.window import Window

NAMES = ("speed", "power", "noise")


def draw(generator, correlation=0.6, shift=0.0, rows=400):
    normal = generator.standard_normal((3, rows))
    normal[1] = correlation * normal[0] + math.sqrt(1 - correlation**2) * normal[1]
    normal[0] += shift
    return normal


def reference():
    rows = draw(np.random.default_rng(0), rows=20_000)
    fields = [Field(name=name, kind=Kind.FLOAT64) for name in NAMES]
    return build_reference(fields, dict(zip(NAMES, rows, strict=True)), bins=16)


KNOWN = reference()


def make(**options):
    options = {"windows_per_false_alarm": 1_000, "pairs": KNOWN.pairs, **options}
    return FleetDetector(KNOWN.fields, **options)


def update(fleet, tables):
    cells = {}
    for source, table in tables.items():
        window = Window(KNOWN)
        window.update_columns(Columns(list(np.ascontiguousarray(table))))
        cells[source] = window.read_cells()
    return fleet.update(
        {source: one.fields for source, one in cells.items()},
        {source: one.pairs for source, one in cells.items()},
    )


def test_a_flip_everywhere_is_the_worlds_and_names_both_fields():
    generator, fleet = np.random.default_rng(1), make()
    for _ in range(5):
        assert update(fleet, {f"d{k}": draw(generator) for k in range(4)}).fleet_wide == []
    verdict = update(fleet, {f"d{k}": draw(generator, -0.6) for k in range(4)})
    assert verdict.outliers == []
    (alarm,) = verdict.fleet_wide
    assert (alarm.field, alarm.kind, alarm.since) == ("speed × power", ChangeKind.CORRELATION, 1)
    assert "medial correlation -0." in alarm.description
    assert "+0.41 in the reference" in alarm.description
    assert -0.5 < alarm.distance < -0.3


def test_a_flip_in_one_source_is_its_own_and_not_the_worlds():
    generator, fleet = np.random.default_rng(2), make()
    for _ in range(6):
        tables = {f"d{k}": draw(generator, -0.6 if k == 2 else 0.6) for k in range(5)}
        verdict = update(fleet, tables)
        assert verdict.fleet_wide == []
        assert [(source, alarm.field) for source, alarm in verdict.outliers] == [
            ("d2", "speed × power")
        ]
        assert "at the peers" in verdict.outliers[0][1].description
        assert verdict.excluded["speed × power"] == ("d2",)


@pytest.mark.parametrize("shift", [0.3, 1.0, 3.0])
def test_a_field_that_moves_does_not_accuse_its_pairs(shift):
    generator, alone, everywhere = np.random.default_rng(3), make(), make()
    for _ in range(10):
        one = update(alone, {f"d{k}": draw(generator, shift=shift * (k == 1)) for k in range(4)})
        assert one.fleet_wide == []
        assert {(source, alarm.field) for source, alarm in one.outliers} <= {("d1", "speed")}
        all_of_them = update(everywhere, {f"d{k}": draw(generator, shift=shift) for k in range(4)})
        assert all_of_them.outliers == []
        assert {alarm.field for alarm in all_of_them.fleet_wide} <= {"speed"}


def test_nothing_happens_in_many_intervals():
    generator, fleet = np.random.default_rng(4), make()
    for _ in range(300):
        verdict = update(fleet, {f"d{k}": draw(generator, rows=100) for k in range(4)})
        assert (verdict.outliers, verdict.fleet_wide) == ([], [])


def test_fields_and_pairs_share_one_budget():
    generator, fleet = np.random.default_rng(5), make()
    update(fleet, {f"d{k}": draw(generator) for k in range(4)})
    thresholds = [one.threshold for one in fleet._fleet_wide]
    peers = [fleet._threshold(index) for index in range(len(fleet._peers))]
    rate = sum(math.exp(-one) for one in thresholds) + 4 * sum(math.exp(-one) for one in peers)
    assert rate == pytest.approx(1 / 1_000)
    alone = FleetDetector(KNOWN.fields, windows_per_false_alarm=1_000)
    assert sum(math.exp(-one.threshold) for one in alone._fleet_wide) == pytest.approx(0.5 / 1_000)


def test_the_state_holds_the_pairs_and_is_no_other_fleets():
    generator, one, other = np.random.default_rng(6), make(), make()
    for _ in range(4):
        update(one, {f"d{k}": draw(generator, 0.3) for k in range(4)})
    other.restore(one.state())
    for _ in range(4):
        tables = {f"d{k}": draw(generator, 0.3) for k in range(4)}
        assert update(one, tables) == update(other, tables)
    assert one.state() == other.state()
    with pytest.raises(StateMismatch):
        FleetDetector(KNOWN.fields, windows_per_false_alarm=9).restore(one.state())


def test_a_source_without_pairs_is_evaluated_by_its_fields():
    generator, fleet = np.random.default_rng(7), make()
    cells = {}
    for source in ("a", "b", "c"):
        window = Window(KNOWN)
        window.update_columns(Columns(list(draw(generator))))
        cells[source] = window.read_cells()
    fields = {source: one.fields for source, one in cells.items()}
    assert fleet.update(fields).fleet_wide == []
    assert fleet.update(fields, {"a": cells["a"].pairs}).outliers == []
    with pytest.raises(ValueError, match="names a field without a reference"):
        make(pairs=[PairReference("speed", "weight", (1, 1, 0))])
