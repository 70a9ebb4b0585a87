"""Incidents: their timeline is what the audit chain has, and they are found again."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gnomon.command.root import root
from gnomon.runtime.errors import Conflict, NotAllowed, NotFound
from gnomon.server.hub.monitoring import alerts, incident_timeline, incidents
from gnomon.server.hub.monitoring.incidents import Cause, IncidentRequest, NoteKind, Resolution
from gnomon.server.hub.process import Hub
from gnomon.server.hub.store.database import Database
from gnomon.server.hub.store.rights import Actor, Grant, Role

ADA = Actor("ada", (Grant(Role.OPERATOR),))


def raise_one(database: Database, kind: str = "error_rose", model: str = "eta") -> str:
    with database.write() as connection:
        alerts.raise_alert(connection, alerts.Condition(model, kind, "", "", "1", f"{kind} | now"))
    with database.read() as connection:
        return alerts.find(connection, open_only=True)[0].id


def open_one(database: Database, **wanted: Any) -> str:
    with database.change(ADA) as change:
        return incidents.open_incident(change, IncidentRequest(**wanted))


def described(database: Database, incident: str) -> incident_timeline.IncidentDetails:
    with database.read() as connection:
        return incident_timeline.describe(connection, incident)


@pytest.mark.both_databases
def test_an_incident_goes_from_its_alert_to_its_postmortem(world: Any, database: Database) -> None:
    for version in ("1", "2"):
        world.publish("eta", version)
        world.place("eta", version)
    world.publish("fraud", "1")
    world.place("fraud", "1")
    alert = raise_one(database)
    incident = open_one(database, alert=alert)
    with pytest.raises(Conflict, match="has an incident already"):
        open_one(database, alert=alert)
    with database.change(ADA) as change:
        incidents.add_note(change, incident, NoteKind.NOTE, "the *100 %* case")
        incidents.add_note(change, incident, NoteKind.FOLLOW_UP, "check units at the merge")
        incidents.resolve(change, incident, Resolution(Cause.DATA, "feet for metres", "back to 1"))
    found = described(database, incident)
    assert (found.title, found.severity, found.model) == ("error_rose | now", "error", "eta")
    assert [(one.action, one.subject) for one in found.timeline] == [
        ("place", "eta@1"),
        ("place", "eta@2"),
        ("open_alert", "eta"),
        ("open_incident", "eta"),
        ("note_incident", "eta"),
        ("note_incident", "eta"),
        ("resolve_incident", "eta"),
    ]
    text = incident_timeline.to_markdown(found)
    assert text.startswith("# error\\_rose \\| now\n")
    assert "## Root cause\n\ndata: feet for metres\n" in text
    assert "the \\*100 %\\* case" in text
    assert text.endswith("- [ ] check units at the merge (ada)\n")
    with database.read() as connection:
        for words, hits in (("FEET", 1), ("100 %", 1), ("100%", 0), ("_rose", 1), ("xrose", 0)):
            assert len(incidents.find(connection, words)) == hits, words
        assert incidents.find(connection, open_only=True) == []
        assert incidents.count_causes(connection) == {"data": 1}


def test_a_critical_alert_opens_one_incident(database: Database) -> None:
    raise_one(database)
    raise_one(database, "nodes_silent", "")
    for _ in range(2):
        incidents.run_once(database)
    with database.read() as connection:
        (found,) = incidents.find(connection)
    assert (found.severity, found.opened_by, found.title) == (
        "critical",
        "monitor",
        "nodes_silent | now",
    )


def test_each_step_is_for_whoever_watches_the_model(database: Database) -> None:
    incident = open_one(database, title="slow", model="eta")
    bob = Actor("bob", (Grant(Role.OPERATOR, "fraud"),))
    found = Resolution(Cause.CODE, "", "")
    for act in (
        lambda change: incidents.open_incident(change, IncidentRequest(model="eta")),
        lambda change: incidents.open_incident(change, IncidentRequest()),
        lambda change: incidents.add_note(change, incident, NoteKind.NOTE, "mine"),
        lambda change: incidents.resolve(change, incident, found),
    ):
        with pytest.raises(NotAllowed), database.change(bob) as change:
            act(change)
    with pytest.raises(NotFound), database.change(ADA) as change:
        incidents.resolve(change, "none", found)
    details = described(database, incident)
    assert (details.resolved_at, details.notes) == (None, [])


def test_incidents_by_command_and_page(
    hub: Hub, caller: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GNOMON_HUB_URL", hub.addresses.rest)

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(root, ["incident", *arguments])
        assert done.exit_code == 0, done.output
        return done.output

    run("open", "<b>slow</b>", "--severity", "warning")
    (found,) = caller.get("incidents")
    run("note", found["id"], "disk full", "--follow-up")
    run("resolve", found["id"], "--cause", "node", "--root-cause", "the disk was full")
    assert "slow" in run("list", "--text", "disk")
    assert "disk full" in run("show", found["id"])
    run("postmortem", found["id"], str(tmp_path / "post.md"))
    written = (tmp_path / "post.md").read_text()
    assert "- [ ] disk full (local)" in written
    assert caller.http.get(f"/incidents/{found['id']}/postmortem.md").text == written
    assert caller.get("incidents/causes") == {"node": 1}
    for page in ("/incidents?text=slow", f"/incidents/{found['id']}"):
        text = caller.http.get(page).text
        assert "&lt;b&gt;slow&lt;/b&gt;" in text
        assert "<b>slow" not in text
    assert "No incident has this text" in caller.http.get("/incidents?text=other").text
    assert caller.http.get("/incidents/none").status_code == 404
