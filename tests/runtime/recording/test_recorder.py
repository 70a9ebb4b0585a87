"""No count is ever lost: over intervals, threads, checkpoints and a sink that fails."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gnomon.proto import hub_pb2
from gnomon.runtime.errors import GnomonError, StorageError
from gnomon.runtime.packages.manifest import Deployment
from gnomon.runtime.packages.package import Package
from gnomon.runtime.recording.series import BATCH_ROWS, EXAMPLES_LIMIT
from gnomon.runtime.recording.sink import MemorySink
from gnomon.runtime.routing import routes
from gnomon.runtime.runtime import Runtime

Write = Callable[..., Package]
HOUR = 3600
GOOD = {"distance": 800.0, "wind": 10.0, "carrier": "UA"}
BAD = GOOD | {"distance": -1.0}


class FailingSink(MemorySink):
    """Takes nothing while `full`."""

    full = True

    def put(self, record: hub_pb2.Record) -> None:
        if self.full:
            raise StorageError("the disk is full")
        super().put(record)


@pytest.fixture
def sink() -> MemorySink:
    return MemorySink()


@pytest.fixture
def serving(sink: MemorySink, package: Package) -> Iterator[Runtime]:
    runtime = started(sink, package)
    yield runtime
    runtime.close()


def started(sink: MemorySink, package: Package, *, checkpoint_seconds: float = 60) -> Runtime:
    runtime = Runtime(sink, checkpoint_seconds=checkpoint_seconds)
    runtime.load(package)
    runtime.apply([routes.single("eta", package.digest)])
    return runtime


def rows_by_interval(sink: MemorySink) -> Counter[int]:
    counted: Counter[int] = Counter()
    for record in sink.records:
        if record.HasField("window"):
            counted[record.window.started_at_unix_ms // (HOUR * 1000)] += record.window.rows
    return counted


def ask(runtime: Runtime, row: dict[str, Any], at: float) -> None:
    try:
        runtime.predict("eta", row, at=at)
    except GnomonError as error:
        assert error.code == "invalid_input"


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    plan=st.lists(
        st.lists(
            st.tuples(
                st.integers(-3, 40), st.sampled_from(["good", "bad", "empty", "batch", "flush"])
            ),
            max_size=30,
        ),
        min_size=1,
        max_size=4,
    )
)
def test_rows_counted_are_rows_requested(
    package: Package, plan: list[list[tuple[int, str]]]
) -> None:
    """Threads, intervals in any order, refusals, batches and flushes: the sums are exact."""
    sink = MemorySink()
    runtime = started(sink, package, checkpoint_seconds=0.01)
    expected: Counter[int] = Counter()
    for steps in plan:
        for hour, step in steps:
            expected[hour] += {"batch": 3, "flush": 0}.get(step, 1)

    def work(steps: list[tuple[int, str]]) -> None:
        for hour, step in steps:
            at = hour * HOUR + 17.5
            if step == "flush":
                runtime.flush()
            elif step == "batch":
                columns = {name: [value] * 3 for name, value in GOOD.items()}
                runtime.predict_columns("eta", columns, at=at)
            else:
                ask(runtime, {"good": GOOD, "bad": BAD, "empty": {}}[step], at)

    threads = [threading.Thread(target=work, args=(steps,)) for steps in plan]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    runtime.close()
    assert +rows_by_interval(sink) == +expected


def test_windows_agree_with_their_records(
    serving: Runtime, sink: MemorySink, package: Package
) -> None:
    for hour in range(5):
        for _ in range(hour + 1):
            ask(serving, GOOD, hour * HOUR)
        ask(serving, BAD, hour * HOUR + 1)
    serving.flush()
    records = [record.window for record in sink.records if record.HasField("window")]
    assert len(records) == 5
    for hour, record in enumerate(records):
        window = package.profile.read_window(record.window)
        assert record.started_at_unix_ms == hour * HOUR * 1000
        assert record.ended_at_unix_ms == (hour + 1) * HOUR * 1000
        assert window.outcome_rows["answered"] == hour + 1
        assert window.outcome_rows["refused"] == 1
        assert record.rows == window.rows == hour + 2


def test_later_interval_closes_the_earlier_one_at_once(serving: Runtime, sink: MemorySink) -> None:
    ask(serving, GOOD, 0)
    ask(serving, GOOD, HOUR)
    until = time.monotonic() + 5
    while not rows_by_interval(sink) and time.monotonic() < until:
        time.sleep(0.005)
    assert rows_by_interval(sink) == {0: 1}
    ask(serving, GOOD, HOUR - 1)
    serving.flush()
    assert rows_by_interval(sink) == {0: 2, 1: 1}


def test_checkpoint_records_open_windows(sink: MemorySink, package: Package) -> None:
    runtime = started(sink, package, checkpoint_seconds=0.05)
    ask(runtime, GOOD, 0)
    until = time.monotonic() + 5
    while not rows_by_interval(sink) and time.monotonic() < until:
        time.sleep(0.005)
    assert rows_by_interval(sink) == {0: 1}
    runtime.close()


def test_what_a_full_sink_refuses_is_merged_and_offered_again(package: Package) -> None:
    sink = FailingSink()
    runtime = started(sink, package, checkpoint_seconds=0.01)
    for attempt in range(20):
        ask(runtime, GOOD, 0)
        ask(runtime, GOOD, HOUR)
        if attempt % 5 == 0:
            with pytest.raises(StorageError, match="the disk is full"):
                runtime.flush()
    assert sink.records == []
    sink.full = False
    runtime.close()
    assert rows_by_interval(sink) == {0: 20, 1: 20}
    # 40 windows were closed; the two that waited were merged, and two more may have followed.
    assert sum(record.HasField("window") for record in sink.records) <= 4
    sampled = [len(r.predictions.values) for r in sink.records if r.HasField("predictions")]
    assert sum(sampled) == 40


def test_sampled_predictions_carry_what_labels_are_joined_by(
    serving: Runtime, sink: MemorySink, package: Package
) -> None:
    for number in range(BATCH_ROWS + 1):
        serving.predict("eta", GOOD, request_id=f"r{number}", at=number / 10)
    serving.predict_columns(
        "eta", {name: [value] * 2 for name, value in GOOD.items()}, request_id="many", at=1.0
    )
    serving.flush()
    batches = [record.predictions for record in sink.records if record.HasField("predictions")]
    assert [len(batch.values) for batch in batches] == [BATCH_ROWS, 3]
    assert batches[0].digest == package.digest
    assert list(batches[0].request_ids[:2]) == ["r0", "r1"]
    assert list(batches[0].at_unix_ms[:3]) == [0, 100, 200]
    assert batches[0].values[0] == pytest.approx(111.0)
    assert list(batches[1].request_ids) == [f"r{BATCH_ROWS}", "many/0", "many/1"]


def test_sampling_is_by_request_and_keeps_its_share(sink: MemorySink, write: Write) -> None:
    package = write(deployment=Deployment(window_seconds=HOUR, sample_permille=250))
    samples = []
    for _ in range(2):
        sink.records.clear()
        runtime = started(sink, package)
        for number in range(2_000):
            runtime.predict("eta", GOOD, request_id=f"flight-{number}", at=0)
        runtime.close()
        records = [record.predictions for record in sink.records if record.HasField("predictions")]
        samples.append([name for record in records for name in record.request_ids])
        assert rows_by_interval(sink) == {0: 2_000}
    assert samples[0] == samples[1]
    assert 400 < len(samples[0]) < 600


def test_examples_are_capped_but_all_are_counted(
    serving: Runtime, sink: MemorySink, package: Package
) -> None:
    for _ in range(EXAMPLES_LIMIT * 2):
        ask(serving, BAD, 0)
    serving.flush()
    examples = [record for record in sink.records if record.HasField("refusal")]
    assert len(examples) == EXAMPLES_LIMIT
    assert examples[0].refusal.rule == "minimum"
    (record,) = [record.window for record in sink.records if record.HasField("window")]
    counts = dict(
        zip(
            package.profile.rule_names,
            package.profile.read_window(record.window).violations.tolist(),
            strict=True,
        )
    )
    assert counts["inputs.minimum"] == EXAMPLES_LIMIT * 2


def test_private_values_are_masked(serving: Runtime, sink: MemorySink) -> None:
    """A key that is no field may hold anything: its value is never recorded."""
    ask(serving, GOOD | {"passport": "X1234567"}, 0)
    serving.flush()
    assert not any(b"X1234567" in record.SerializeToString() for record in sink.records)


def test_text_that_is_no_unicode_does_not_stop_the_records(
    serving: Runtime, sink: MemorySink
) -> None:
    serving.predict("eta", GOOD, request_id="\ud800", at=0)
    ask(serving, GOOD | {"carrier": "\udc80", "\udfff": 1}, 0)
    serving.flush()
    assert rows_by_interval(sink) == {0: 2}
    assert all(record.SerializeToString() for record in sink.records)


def test_records_leave_in_order_of_time(serving: Runtime, sink: MemorySink) -> None:
    for hour in range(10):
        ask(serving, GOOD, hour * HOUR)
    serving.flush()
    starts = [r.window.started_at_unix_ms for r in sink.records if r.HasField("window")]
    assert all(one < other for one, other in pairwise(starts))
    assert all(record.recorded_at_unix_ms > 0 for record in sink.records)
