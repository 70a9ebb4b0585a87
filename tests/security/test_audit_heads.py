"""Whoever rewrites the audit chain in the hub's database is seen by every node."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import delete, select, update

from gnomon.command.root import root
from gnomon.edge.audit_watch import AuditWatch, read_heads
from gnomon.edge.hub_reporter import HubReporter
from gnomon.edge.node_warnings import find_warnings
from gnomon.edge.telemetry.spool import SpoolFigures
from gnomon.proto import hub_pb2
from gnomon.runtime import audit_chain
from gnomon.runtime.audit_chain import ChainHead
from gnomon.runtime.errors import InvalidInput, UntrustedMetadata
from gnomon.runtime.packages.signing import Signer
from gnomon.server.hub.metadata_check import check_metadata
from gnomon.server.hub.monitoring.audit_findings import AuditFindings
from gnomon.server.hub.process import Hub
from gnomon.server.hub.store import audit, counters, schema
from gnomon.server.hub.store.database import Database
from tests.support.restorable_hub import RestorableHub
from tests.support.trusting_node import TrustingNode


def decide(caller: Any) -> None:
    """Have the hub record one more decision."""
    caller.post("keys", key=Signer.generate().public_key.hex(), name="bob")


def rewrite(database: Database, keep: int | None = None) -> None:
    """Replace who did the first thing, with all hashes after it; keep that many records."""
    with database.write() as connection:
        rows = connection.execute(select(schema.audit).order_by(schema.audit.c.sequence)).mappings()
        previous = audit_chain.GENESIS
        for row in list(rows)[:keep]:
            changed: dict[str, Any] = {**row, "previous": previous}
            if row["sequence"] == 1:
                changed["actor"] = "somebody else"
            changed["hash"] = previous = audit_chain.hash_of(changed)
            where = schema.audit.c.sequence == row["sequence"]
            connection.execute(update(schema.audit).where(where).values(**changed))
        if keep is not None:
            connection.execute(delete(schema.audit).where(schema.audit.c.sequence > keep))
            counters.move(connection, counters.AUDIT, keep)
        assert audit.verify_chain(connection).intact


def test_a_node_keeps_the_signed_head(caller: Any, device: TrustingNode) -> None:
    decide(caller)
    device.call()
    newest = caller.get("audit", limit=1)[0]
    head = device.trust.status.audit_head
    assert head is not None
    assert (head.sequence, head.hash) == (newest["sequence"], newest["hash"])
    assert device.trust.status.audit_findings == ()


@pytest.mark.parametrize("keep", [None, 2])
@pytest.mark.parametrize("later", [0, 1, 9])
def test_a_rewritten_chain_is_found_by_every_node(
    hub: Hub, caller: Any, device: TrustingNode, keep: int | None, later: int
) -> None:
    """Also if the chain has grown past what the node knew; the finding stays."""
    device.call()
    rewrite(hub.services.database, keep)
    for _ in range(later):
        decide(caller)
    decide(caller)
    device.call()
    (finding,) = device.trust.status.audit_findings
    expected = "went back" if keep and later < 2 else "was rewritten"
    assert f"the hub's audit chain {expected}" in finding
    decide(caller)
    device.call()
    device.restart()
    assert device.trust.status.audit_findings == (finding,)
    warnings = find_warnings(
        SpoolFigures(0, 0, 0, 0, 0),
        is_hub_reachable=True,
        clock_offset_seconds=None,
        validity=None,
        damage=(),
        audit_findings=device.trust.audit_findings,
    )
    assert warnings == {"audit_chain": finding}


def warned(device: TrustingNode) -> list[hub_pb2.Record]:
    """Return the events that a node with this trust records before its next call."""
    events: list[hub_pb2.Record] = []

    def keep(kind: str, detail: str) -> None:
        event = hub_pb2.Event(kind=kind, detail=detail)
        events.append(hub_pb2.Record(sequence=len(events) + 1, recorded_at_unix_ms=1, event=event))

    parts: Any = SimpleNamespace(damage="", overdue="", figures=lambda: SpoolFigures(0, 0, 0, 0, 0))
    enrolment: Any = SimpleNamespace(damage=(), validity=None)
    trust: Any = device.trust
    HubReporter({}, parts, parts, parts, trust, enrolment, keep)._report_warnings()
    return events


def test_a_finding_of_a_node_is_an_alert_of_the_hub(
    hub: Hub, caller: Any, device: TrustingNode
) -> None:
    device.call()
    rewrite(hub.services.database)
    decide(caller)
    device.call()
    caller.enrol("node", "device-2").upload(*warned(device))
    AuditFindings().run_once(hub.services.database)
    (alert,) = (one for one in caller.get("alerts") if one["kind"] == "audit_chain")
    assert "device-2: the hub's audit chain was rewritten" in alert["text"]


def test_a_restored_hub_is_told_from_a_rewritten_chain(
    caller: Any, restorable: RestorableHub
) -> None:
    """Its epoch is signed with the head, and its chain has a record of the restore."""
    restorable.save()
    caller.post("environments", name="late")
    restorable.device.call()
    with restorable.restored() as there:
        for _ in range(2):
            restorable.device.call()
            (finding,) = restorable.device.trust.status.audit_findings
            assert "the hub was restored from a backup" in finding
        assert there.get("audit", limit=1)[0]["action"] == "restore"


def test_a_rewritten_chain_is_not_taken_for_that_of_a_restored_hub(
    hub: Hub, caller: Any, device: TrustingNode
) -> None:
    """The epoch that is signed is that of the data folder, which only a restore changes."""
    database = hub.services.database
    device.call()
    rewrite(database)
    with database.write() as connection:
        epoch = counters.read(connection, counters.EPOCH) + 1
        counters.move(connection, counters.EPOCH, epoch)
        audit.append(connection, "hub", "restore", "backup", {"epoch": epoch})
    decide(caller)
    device.call()
    (finding,) = device.trust.status.audit_findings
    assert "the hub's audit chain was rewritten" in finding
    said = check_metadata(database, hub.services.settings.data_folder).faults
    assert any("it was not restored by `gnomon hub restore`" in one for one in said)


def test_new_keys_and_another_chain_are_named(hub: Hub, caller: Any, device: TrustingNode) -> None:
    """New keys alone are an operator's everyday work, and the chain continues."""
    device.call()
    caller.post("trust/rotate")
    device.call()
    assert device.trust.status.audit_findings == ()
    rewrite(hub.services.database)
    caller.post("trust/rotate")
    device.call()
    (finding,) = device.trust.status.audit_findings
    assert "a hub with other keys has another audit chain" in finding


def forged(response: hub_pb2.ExchangeResponse) -> None:
    head = hub_pb2.AuditHead.FromString(response.audit_head.head)
    head.sequence += 1
    response.audit_head.head = head.SerializeToString()


def test_a_head_that_nobody_signed_is_refused(caller: Any, device: TrustingNode) -> None:
    device.change = forged
    with pytest.raises(UntrustedMetadata, match="audit chain is not signed by it"):
        device.call()


def test_a_hub_that_sends_no_head_any_more_is_named(device: TrustingNode) -> None:
    device.call()
    device.change = lambda response: response.ClearField("audit_head")
    for _ in range(2):
        device.call()
    assert device.trust.status.audit_findings == (
        "the hub no longer sends the head of its audit chain",
    )


def test_a_chain_is_verified_against_a_node(
    hub: Hub, caller: Any, device: TrustingNode, tmp_path: Path
) -> None:
    """The database alone shows nothing: every record of the rewritten chain follows the last."""
    device.call()
    access = str(caller.http.headers["authorization"]).removeprefix("Bearer ")
    at = ("--url", caller.addresses.rest, "--api-key", access)
    file = str(device.folder / "audit.json")

    def verify(*options: str) -> tuple[int, str]:
        line = ["hub", "audit", "verify", *options, *at, "--json"]
        result = CliRunner().invoke(root, line, standalone_mode=False)
        if result.exception is not None:
            raise result.exception
        return result.return_value, json.loads(result.output)["reason"]

    assert verify("--against", file) == (0, "")
    (head,) = read_heads(Path(file))
    rewrite(hub.services.database)
    for _ in range(head.sequence):
        decide(caller)
    assert verify() == (0, "")
    code, reason = verify("--against", file)
    assert (code, reason) == (1, "is not the record of this number that a node knows")
    rewrite(hub.services.database, keep=1)
    code, reason = verify("--against", file)
    assert (code, reason) == (1, f"a node knows {head.sequence} records")
    (tmp_path / "other.json").write_text("[]")
    with pytest.raises(InvalidInput, match=r"is no audit\.json of a node"):
        verify("--against", str(tmp_path / "other.json"))


def test_heads_are_written_rarely_and_findings_at_once(tmp_path: Path) -> None:
    """A device's flash lives long; what was found survives a power cut."""
    now = [0.0]
    watch = AuditWatch(tmp_path, lambda: now[0])
    sizes = []
    for sequence, finding in ((1, ""), (2, ""), (3, "rewritten"), (4, "")):
        watch._keep(ChainHead(0, sequence, "a"), finding)
        latest = AuditWatch(tmp_path).state.latest
        sizes.append(latest.sequence if latest else 0)
    now[0] = 4_000.0
    watch._keep(ChainHead(0, 5, "a"))
    assert sizes == [1, 1, 3, 3]
    latest = AuditWatch(tmp_path).state.latest
    assert latest is not None
    assert latest.sequence == 5
    (tmp_path / "audit.json").unlink()
    (tmp_path / "audit.json").mkdir()  # the disk takes nothing, and the node goes on
    watch._keep(ChainHead(0, 6, "a"), "shortened")
    assert watch.state.findings == ("rewritten", "shortened")
