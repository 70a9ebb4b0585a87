"""The estimate of how long calls take, and measurements beside a busy interpreter thread."""

import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.runtime.latency import QUICK_SECONDS, SLOW_SECONDS, LatencyEstimate, clock_of
from gnomon.runtime.models import batching_benefit
from gnomon.runtime.models.speed import quickest_ns
from gnomon.runtime.packages.manifest import Batching
from gnomon.runtime.packages.package import Package
from gnomon.runtime.recording.sink import MemorySink
from gnomon.runtime.runtime import Runtime
from tests.support.busy_interpreter import BusyInterpreter, GivesWay, widen_thresholds

SECONDS = st.floats(0.0, 10.0)


@given(st.lists(SECONDS, min_size=1))
def test_an_estimate_changes_sides_only_beyond_the_far_threshold(observed: list[float]) -> None:
    estimate = LatencyEstimate()
    was_slow = False
    for seconds in observed:
        estimate.observe(seconds)
        assert estimate.seconds is not None
        if estimate.is_slow != was_slow:
            beyond = estimate.seconds > SLOW_SECONDS or estimate.seconds < QUICK_SECONDS
            assert beyond
        assert not (estimate.is_quick and estimate.is_slow)
        was_slow = estimate.is_slow


@given(st.lists(SECONDS), SECONDS, st.booleans())
def test_an_estimate_never_decides_for_life(
    past: list[float], seconds: float, replaced: bool
) -> None:
    estimate = LatencyEstimate()
    for one in past:
        estimate.observe(one)
    for _ in range(200):
        if replaced:
            estimate.replace(seconds)
        else:
            estimate.observe(seconds)
    if seconds > SLOW_SECONDS:
        assert estimate.is_slow
    if seconds < QUICK_SECONDS:
        assert estimate.is_quick
        assert not estimate.is_slow


def test_one_pause_makes_nothing_slow() -> None:
    estimate = LatencyEstimate()
    estimate.observe(0.000_1)
    estimate.observe(60.0)
    assert not estimate.is_slow


@pytest.fixture
def busy() -> Iterator[BusyInterpreter]:
    busy = BusyInterpreter()
    yield busy
    busy.stop()


def test_waiting_for_the_interpreter_is_not_counted_as_work(busy: BusyInterpreter) -> None:
    assert quickest_ns(busy.let_in, works_in_caller=True) < 5 * SLOW_SECONDS * 1e9
    assert quickest_ns(busy.let_in, works_in_caller=False) > 5 * SLOW_SECONDS * 1e9


def test_a_model_measured_beside_a_busy_thread_is_as_quick_as_ever(
    package: Package, busy: BusyInterpreter, monkeypatch: pytest.MonkeyPatch
) -> None:
    widen_thresholds(monkeypatch)
    runtime = Runtime(MemorySink())
    model = runtime.load(package)
    assert model.row_latency.is_quick
    engine = model.engine
    model.engine = GivesWay(engine, busy, works_in_caller=True)
    model.measure_row()
    assert model.row_latency.is_quick
    # By the wall clock, which is all that there is for work of other processes, it is not.
    model.engine = GivesWay(engine, busy, works_in_caller=False)
    model.measure_row()
    assert model.row_latency.is_slow
    busy.stop()
    model.measure_row()
    assert model.row_latency.is_quick
    runtime.close()


def test_whether_gathering_pays_is_decided_by_the_engine_alone(
    package: Package, busy: BusyInterpreter, monkeypatch: pytest.MonkeyPatch
) -> None:
    widen_thresholds(monkeypatch)
    runtime = Runtime(MemorySink())
    model = runtime.load(package)
    model.engine = GivesWay(model.engine, busy, works_in_caller=True)
    model.batching = Batching(max_rows=8)
    batching_benefit.decide_batching(model)
    assert model.batching is None
    runtime.close()


def test_work_of_other_processes_is_timed_by_the_wall_clock() -> None:
    assert quickest_ns(lambda: time.sleep(0.003), works_in_caller=False) >= 3_000_000
    assert clock_of(False) is time.perf_counter_ns
