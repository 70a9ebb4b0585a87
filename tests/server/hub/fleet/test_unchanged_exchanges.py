"""A node that reports the same again costs no query, and misses no decision."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event, select

from gnomon.runtime.errors import NotAllowed
from gnomon.runtime.packages.package import Package
from gnomon.server.hub.fleet import unchanged_exchanges
from gnomon.server.hub.monitoring import alerts
from gnomon.server.hub.process import Hub
from gnomon.server.hub.store import counters, decisions, schema
from gnomon.server.hub.store.database import Database
from gnomon.server.hub.store.decisions import Decisions
from tests.support.waiting import wait_for

FACTS = {"engines": "onnx"}
VERSIONS = {"root": 1, "targets": 1, "snapshot": 1, "timestamp": 1}


@pytest.fixture(autouse=True)
def _long_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pause of the machine is no reason to look again."""
    monkeypatch.setattr(decisions, "AGE_SECONDS", 600.0)
    monkeypatch.setattr(unchanged_exchanges, "KEPT_SECONDS", 600.0)


@contextmanager
def statements(hub: Hub) -> Iterator[list[str]]:
    """Collect what is executed on the hub's database."""
    found: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        found.append(statement)

    engine = hub.services.database.engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(engine, "before_cursor_execute", note)


def settle(node: Any) -> dict[str, Any]:
    """Let a node report until it has nothing new to report; return its report."""
    versions = dict(VERSIONS)
    for _ in range(3):
        answer = node.exchange(facts=FACTS, metadata_versions=versions)
        versions.update({one.role: one.version for one in answer.metadata})
    return {"facts": FACTS, "metadata_versions": versions}


def last_seen(hub: Hub) -> int:
    with hub.services.database.read() as connection:
        return connection.scalar(select(schema.node.c.last_seen_at)) or 0


def test_it_costs_no_query_and_has_the_same_signed_state_and_the_time(
    hub: Hub, node: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unchanged_exchanges, "WRITE_SECONDS", 600.0)
    report = settle(node)
    first = node.exchange(**report)
    with statements(hub) as executed:
        second = node.exchange(**report)
    assert second.signed == first.signed
    assert second.signed.state
    assert second.hub_time_unix_ms >= first.hub_time_unix_ms
    assert [one for one in executed if "node" in one] == []


def test_when_it_called_is_written_for_many_at_once(
    hub: Hub, node: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = settle(node)
    before = last_seen(hub)

    def later() -> bool:
        node.exchange(**report)
        return last_seen(hub) > before

    assert wait_for(later)


@pytest.mark.parametrize("decided", ["placed", "changed report", "time is over"])
def test_what_changes_is_followed_at_once(
    hub: Hub,
    caller: Any,
    builder: Any,
    node: Any,
    make: Callable[..., Package],
    monkeypatch: pytest.MonkeyPatch,
    decided: str,
) -> None:
    builder.publish(make())
    report = settle(node)
    before = node.exchange(**report)
    if decided == "placed":
        caller.post("placements", model="eta", version="1")
        after = node.exchange(**report)
        assert after.signed != before.signed
        return
    if decided == "changed report":
        report["facts"] = FACTS | {"os": "new"}
    else:
        monkeypatch.setattr(unchanged_exchanges, "KEPT_SECONDS", 0.0)
    with statements(hub) as executed:
        node.exchange(**report)
    assert any(one.startswith("UPDATE node") for one in executed)


def test_a_revoked_node_is_refused_at_once(caller: Any, node: Any) -> None:
    report = settle(node)
    node.exchange(**report)
    caller.post("nodes/device-1/revoke")
    with pytest.raises(NotAllowed, match="revoked"):
        node.exchange(**report)


@pytest.mark.both_databases
def test_decisions_of_this_process_are_known_at_once_and_those_of_others_soon(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Database(database_url)
    known, seen = Decisions(database), Decisions(other)
    before = known.read()
    assert seen.read() == before
    with database.write() as connection:
        alerts.raise_alert(connection, alerts.Condition("eta", "k", "", "", "", ""))
    assert known.read() == before + 1
    assert seen.read() == before  # not looked again yet
    monkeypatch.setattr(decisions, "AGE_SECONDS", 0.0)
    assert seen.read() == before + 1
    with pytest.raises(KeyError), database.write() as connection:
        alerts.raise_alert(connection, alerts.Condition("rho", "k", "", "", "", ""))
        raise KeyError
    with database.read() as connection:
        assert known.read() == counters.read(connection, counters.AUDIT) == before + 1
    other.close()
