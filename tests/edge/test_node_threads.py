"""A thread that ended, or is not heard of in its time, is named; errors last until a success."""

import threading
from collections.abc import Callable

import pytest

from gnomon.edge.heartbeats import Heartbeats
from gnomon.edge.node_threads import NodeThreads
from gnomon.runtime.errors import HubUnavailable
from tests.support.waiting import wait_for


def test_only_who_is_not_heard_of_in_its_time_is_stalled() -> None:
    now = 0.0
    beats = Heartbeats(lambda: now)
    beats.beat("sync", 10.0)
    beats.beat("upload", 100.0)
    now = 10.0
    assert beats.stalled() == ()
    now = 10.1
    assert beats.stalled() == ("sync",)
    beats.beat("sync", 10.0)
    assert beats.stalled() == ()


@pytest.fixture
def threads() -> NodeThreads:
    return NodeThreads(0.001, 0.001)


def test_an_error_lasts_until_the_task_succeeds(threads: NodeThreads) -> None:
    may_succeed = threading.Event()

    def task() -> float:
        if not may_succeed.is_set():
            raise HubUnavailable("the hub cannot be reached")
        return 0.001

    threads.start("node-sync", task)
    wait_for(lambda: [text for _, text in threads.errors] == ["the hub cannot be reached"])
    may_succeed.set()
    wait_for(lambda: not threads.errors)
    assert threads.stalled() == ()
    threads.ask_to_stop()
    assert threads.join(30)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_ended_or_hangs_is_stalled(
    threads: NodeThreads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gnomon.edge.node_threads._STALLED_SECONDS", 0.01)
    may_end = threading.Event()

    def end() -> float:
        raise SystemExit

    def hang() -> float:
        may_end.wait(30)
        return 60.0

    tasks: dict[str, Callable[[], float]] = {"ends": end, "hangs": hang}
    for name, task in tasks.items():
        threads.start(name, task)
    wait_for(lambda: threads.stalled() == ("ends", "hangs"))
    may_end.set()
    wait_for(lambda: threads.stalled() == ("ends",))
    threads.ask_to_stop()
    assert threads.join(30)
