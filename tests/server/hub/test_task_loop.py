"""The clockwork goes on, whatever a step does."""

import threading
from pathlib import Path

import pytest

from gnomon.server.hub.store.database import Database
from gnomon.server.hub.task_loop import TaskLoop


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database.in_folder(tmp_path)


def test_a_step_that_fails_stops_neither_the_others_nor_the_next_tick(database: Database) -> None:
    taken: list[str] = []
    enough = threading.Event()

    def fails(given: Database) -> None:
        taken.append("fails")
        raise ValueError("no")

    def works(given: Database) -> None:
        assert given is database
        taken.append("works")
        if len(taken) >= 6:
            enough.set()

    loop = TaskLoop(database, 0.01, (fails, works))
    loop.start()
    assert enough.wait(20)
    loop.stop()
    assert taken[:6] == ["fails", "works"] * 3


def test_after_it_was_stopped_nothing_is_taken(database: Database) -> None:
    taken: list[int] = []
    ticked = threading.Event()

    def count(given: Database) -> None:
        taken.append(1)
        ticked.set()

    loop = TaskLoop(database, 0.01, (count,))
    loop.start()
    assert ticked.wait(20)
    loop.stop()
    before = len(taken)
    assert not threading.Event().wait(0.1)
    assert len(taken) == before
