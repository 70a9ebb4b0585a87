"""What nodes find wrong with the audit chain raises one alert, which a person closes."""

import pytest
from sqlalchemy import insert

from gnomon.server.hub.monitoring import alerts
from gnomon.server.hub.monitoring.alerts import Alert
from gnomon.server.hub.monitoring.audit_findings import AuditFindings
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.clock import now_ms
from gnomon.server.hub.store.database import Database

REWRITTEN = "the hub's audit chain was rewritten: record 7 is now 'ab'"


def report(
    database: Database, node: str, detail: str, *, later_ms: int = 0, kind: str = "audit_chain"
) -> None:
    event = {"node": node, "boot": "b", "sequence": 1, "at": 1, "received_at": now_ms() + later_ms}
    with database.write() as connection:
        connection.execute(insert(schema.event).values(**event, kind=kind, detail=detail))


def found(database: Database) -> list[Alert]:
    with database.read() as connection:
        return alerts.find(connection)


@pytest.mark.both_databases
def test_all_nodes_findings_are_one_alert_that_names_them(database: Database) -> None:
    watch = AuditFindings()
    report(database, "n1", "the disk is full", kind="warning")
    watch.run_once(database)
    assert found(database) == []
    report(database, "n1", REWRITTEN)
    watch.run_once(database)
    report(database, "n2", REWRITTEN, later_ms=60_000)
    for one in (watch, watch, AuditFindings()):  # another process reads all from the start
        one.run_once(database)
    (alert,) = found(database)
    assert (alert.kind, alert.source, alert.closed_at) == ("audit_chain", "", None)
    assert alert.text.startswith(f"n1: {REWRITTEN}; if no backup was restored")
    assert "gnomon hub audit verify --against" in alert.text
    assert [one["text"].partition(":")[0] for one in alert.evidence["later"]] == ["n2"]


def test_what_a_person_closed_returns_with_a_new_finding_alone(database: Database) -> None:
    watch = AuditFindings()
    report(database, "n1", REWRITTEN)
    watch.run_once(database)
    with database.change("ada") as change:
        (alert,) = alerts.find(change.connection)
        alerts.close(change, alert.id)
    # A node says the same again after each restart.
    report(database, "n1", REWRITTEN, later_ms=60_000)
    for one in (watch, AuditFindings()):
        one.run_once(database)
    assert [one.closed_at is None for one in found(database)] == [False]
    report(database, "n1", "the hub's audit chain went back to 3", later_ms=60_000)
    watch.run_once(database)
    assert sorted(one.closed_at is None for one in found(database)) == [False, True]
