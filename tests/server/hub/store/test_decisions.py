"""A process knows its own decisions as soon as they are made, however many threads make them."""

import threading

import pytest

from gnomon.server.hub.store import counters, decisions
from gnomon.server.hub.store.database import Database
from gnomon.server.hub.store.decisions import Decisions

_THREADS, _EACH = 6, 5


@pytest.mark.both_databases
def test_nothing_that_was_decided_here_is_overlooked(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change that has returned is known to every read after it, also to one under way."""
    monkeypatch.setattr(decisions, "AGE_SECONDS", 600.0)
    known, overlooked = Decisions(database), []
    before = database.decisions

    def decide() -> None:
        for _ in range(_EACH):
            known.read()
            with database.change("ada") as change:
                change.audit("place", "eta")
                number = counters.read(change.connection, counters.AUDIT)
            if known.read() < number:
                overlooked.append(number)

    threads = [threading.Thread(target=decide) for _ in range(_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert overlooked == []
    assert database.decisions == before + _THREADS * _EACH
