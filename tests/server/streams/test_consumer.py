"""The order of things: answers are durable before records are committed, whatever is away."""

import json
import threading
from collections.abc import Sequence

import pytest

from gnomon.runtime.errors import StorageError
from gnomon.runtime.routing.routes import single
from gnomon.runtime.runtime import Runtime
from gnomon.server.streams import consumer as module
from gnomon.server.streams.connectors import Record, Unavailable
from gnomon.server.streams.consumer import Consumer
from gnomon.server.streams.scoring import Scorer
from gnomon.server.streams.settings import StreamSettings
from tests.support.records import BAD, GOOD


class Broker:
    """Both ends in memory; fails whenever its plan says so, and keeps what was committed."""

    name = "memory"

    def __init__(self, rows: int, plan: Sequence[str] = ()) -> None:
        rows_bad_at_7 = [BAD if place % 7 == 6 else GOOD for place in range(rows)]
        self.records = [
            Record(json.dumps(row).encode(), str(at)) for at, row in enumerate(rows_bad_at_7)
        ]
        self.plan = list(plan)
        self.kept: list[str] = []
        self.read_up_to = self.committed = 0
        self.sizes: list[int] = []

    @property
    def ended(self) -> bool:
        return self.read_up_to == len(self.records)

    def _fail(self, where: str) -> None:
        if self.plan and self.plan[0] == where:
            self.plan.pop(0)
            raise Unavailable(where)

    def read(self, limit: int, seconds: float) -> list[Record]:
        self._fail("read")
        found = self.records[self.read_up_to : self.read_up_to + min(limit, 3)]
        self.read_up_to += len(found)
        return found

    def commit(self) -> None:
        assert len(set(self.kept)) >= self.read_up_to
        self._fail("commit")
        self.committed = self.read_up_to

    def write(self, answers: Sequence[tuple[str, bytes]]) -> None:
        self._fail("write")
        self.sizes.append(len(answers))
        self.kept += [identity for identity, _ in answers]

    def close(self) -> None:
        pass


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSES_SECONDS", (0.001, 0.01))


def consumer(runtime: Runtime, broker: Broker, refusals: Broker | None = None) -> Consumer:
    scorer = Scorer(runtime, "eta", StreamSettings())
    sinks = (broker, refusals or broker)
    return Consumer(broker, scorer, *sinks, max_rows=10, max_delay_seconds=60.0)


def test_micro_batches_are_filled_and_refusals_counted(runtime: Runtime) -> None:
    broker = Broker(25)
    counts = consumer(runtime, broker).run()
    assert broker.sizes == [10, 10, 5]
    assert (counts.answered, counts.refused, counts.batches) == (22, 3, 3)
    assert broker.committed == 25


def test_refusals_may_go_elsewhere(runtime: Runtime) -> None:
    broker, refusals = Broker(14), Broker(0)
    # That nothing is committed before it is kept is judged over both.
    refusals.kept = broker.kept
    consumer(runtime, broker, refusals).run()
    assert (broker.sizes, refusals.sizes) == ([9, 3], [1, 1])


@pytest.mark.parametrize(
    "plan",
    [
        ["read", "read"],
        ["write", "write", "write"],
        ["commit"],
        ["read", "write", "commit", "write", "read"],
    ],
)
def test_what_is_away_is_waited_for_and_nothing_is_lost(runtime: Runtime, plan: list[str]) -> None:
    broker = Broker(25, plan)
    consumer(runtime, broker).run()
    assert broker.plan == []
    assert sorted(set(broker.kept), key=lambda one: int(one.partition(":")[2])) == [
        f"memory:{place}" for place in range(25)
    ]


def test_what_was_read_before_a_failure_is_answered(runtime: Runtime) -> None:
    broker = Broker(5)
    whole = broker.read

    def second_fails(limit: int, seconds: float) -> list[Record]:
        if broker.read_up_to == 3 and not broker.kept:
            raise Unavailable("second")
        return whole(limit, seconds)

    broker.read = second_fails  # type: ignore[method-assign]
    consumer(runtime, broker).run()
    assert broker.sizes == [3, 2]


def test_a_model_that_is_away_is_waited_for(runtime: Runtime, package: object) -> None:
    (digest,) = runtime.models
    runtime.apply([])
    broker = Broker(5)
    one = consumer(runtime, broker)
    thread = threading.Thread(target=one.run)
    thread.start()
    thread.join(0.2)
    assert thread.is_alive()
    assert broker.kept == []
    runtime.apply([single("eta", digest)])
    thread.join(20)
    assert broker.committed == 5


def test_a_stop_ends_even_what_waits(runtime: Runtime) -> None:
    broker = Broker(5, ["write"] * 1_000)
    one = consumer(runtime, broker)
    thread = threading.Thread(target=one.run)
    thread.start()
    thread.join(0.1)
    one.stop()
    thread.join(20)
    assert not thread.is_alive()
    assert broker.committed == 0


def test_a_disk_that_fails_ends_the_stream_uncommitted(runtime: Runtime) -> None:
    broker = Broker(5)

    def full(_answers: Sequence[tuple[str, bytes]]) -> None:
        raise StorageError("full")

    broker.write = full  # type: ignore[method-assign]
    with pytest.raises(StorageError):
        consumer(runtime, broker).run()
    assert broker.committed == 0
