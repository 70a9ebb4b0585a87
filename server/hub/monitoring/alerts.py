"""Alerts: one notice while a condition lasts, however often it is raised.

An alert is open until somebody or something closes it; the same condition met again while it is
open moves its time and count. Its text and evidence stay those of the first time, since a later
window may show the same condition less clearly; later texts are appended to the evidence, as
`later`, up to `LATER`. Opening, acknowledging and closing are audited in the same
transaction; that it was met again is not.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from typing import Any

import structlog
from sqlalchemy import ColumnElement, Connection, Row, case, insert, select, update

from gnomon.runtime.errors import Conflict, NotFound
from gnomon.server.hub import alert_kinds
from gnomon.server.hub.alert_kinds import Severity
from gnomon.server.hub.monitoring import alert_groups, silences
from gnomon.server.hub.store import audit, schema
from gnomon.server.hub.store.change import Change
from gnomon.server.hub.store.clock import new_id, now_ms

#: Who raises alerts, as the audit names it.
MONITOR = "monitor"

#: How many of the newest later texts an alert keeps.
LATER = 20

_log = structlog.get_logger(__name__)

_KEY_CHARACTERS = 255

#: What the audit record of an alert, and so its event, says of it.
_TOLD = ("kind", "severity", "version", "source", "field", "text", "opened_at", "silenced_by")
_ALERT = schema.alert.c


@dataclass(frozen=True, slots=True)
class Condition:
    """What an alert is about; its first four parts say which alert it is."""

    model: str
    kind: str  # one of alert_kinds.KINDS
    source: str  # a node's name, or empty: all of them
    field: str
    version: str
    text: str
    evidence: Mapping[str, Any] = dataclass_field(default_factory=dict)
    severity: Severity | None = None  # None: that of its kind

    @property
    def key(self) -> str:
        """Return what is equal for the same condition, within the column's length."""
        key = "/".join((self.model, self.kind, self.source, self.field))
        if len(key) <= _KEY_CHARACTERS:
            return key
        return hashlib.sha256(key.encode()).hexdigest()


def raise_alert(connection: Connection, condition: Condition) -> bool:
    """Open an alert in the caller's transaction, or count it again; return whether it is new.

    If many nodes show the same, one alert stands for all of them (`alert_groups`).
    """
    if _count_again(connection, condition):
        return False
    if not condition.source or condition.kind not in alert_groups.GROUPED_KINDS:
        _open(connection, condition)
        return True
    group = alert_groups.find_group(connection, condition.model, condition.kind)
    if group:
        alert_groups.add_nodes(connection, group, [condition.source])
        _count_again(connection, _group_condition(condition))
        return False
    members = alert_groups.find_members(connection, condition.model, condition.kind)
    if len(members) < alert_groups.MANY:
        _open(connection, condition)
    else:
        _open_group(connection, condition, members)
    return True


def _open_group(connection: Connection, condition: Condition, members: Mapping[str, str]) -> None:
    group = _open(connection, _group_condition(condition))
    nodes = sorted({*members.values(), condition.source})
    alert_groups.add_nodes(connection, group, nodes)
    change = Change(connection, MONITOR)
    for alert_id in members:
        close(change, alert_id, f"one of many nodes, which alert {group} stands for")


def _group_condition(condition: Condition) -> Condition:
    """Return the condition that stands for that of many nodes."""
    what = condition.kind.replace("_", " ")
    text = f"more than {alert_groups.MANY} nodes show the same: {what}; such as {condition.text}"
    return replace(condition, source="", field="", text=text, evidence={"nodes": "many"})


def _count_again(connection: Connection, condition: Condition) -> bool:
    """Count an open alert of a condition again; return whether there is one."""
    # The row lock keeps two processes from opening the same alert; the unique index sees to it.
    known = connection.execute(
        select(_ALERT.id, _ALERT.text, _ALERT.evidence)
        .where(_ALERT.key == condition.key, _ALERT.closed_at.is_(None))
        .with_for_update()
    ).one_or_none()
    if known is None:
        return False
    connection.execute(
        update(schema.alert)
        .where(_ALERT.id == known.id)
        .values(
            last_at=now_ms(),
            count=_ALERT.count + 1,
            evidence=_append(known.text, known.evidence, condition),
        )
    )
    return True


def _open(connection: Connection, condition: Condition) -> str:
    """Open an alert; return its id."""
    now = now_ms()
    values: dict[str, Any] = {
        "id": new_id(),
        "key": condition.key,
        "model": condition.model,
        "version": condition.version,
        "kind": condition.kind,
        "source": condition.source,
        "field": condition.field,
        "opened_at": now,
        "last_at": now,
        "count": 1,
        "evidence": dict(condition.evidence),
        "text": condition.text,
        "severity": condition.severity or alert_kinds.kind_of(condition.kind).severity,
        "silenced_by": silences.find(connection, condition.model, condition.kind, condition.source),
    }
    connection.execute(insert(schema.alert).values(**values))
    detail = {"alert": values["id"], **{name: values[name] for name in _TOLD}}
    audit.append(connection, MONITOR, "open_alert", condition.model, detail)
    _log.warning("alert_opened", **{name: str(one) for name, one in detail.items() if one})
    return str(values["id"])


def _append(text: str, evidence: dict[str, Any], condition: Condition) -> dict[str, Any]:
    """Return an open alert's evidence with what its condition says now, if that is new."""
    later = list(evidence.get("later", ()))
    if condition.text == (later[-1]["text"] if later else text):
        return evidence
    seen = {"at": now_ms(), "version": condition.version, "text": condition.text}
    return {**evidence, "later": [*later, seen][-LATER:]}


def acknowledge(change: Change, alert_id: str) -> None:
    """Say that somebody takes care of an open alert.

    Raises:
        NotFound: if there is no such alert.
        Conflict: if it is closed, or somebody else has acknowledged it.
    """
    row = _open_alert(change.connection, alert_id)
    if row.acknowledged_by == change.actor:
        return
    if row.acknowledged_by is not None:
        raise Conflict(f"alert {alert_id} was acknowledged by {row.acknowledged_by}")
    change.execute(
        update(schema.alert)
        .where(_ALERT.id == alert_id)
        .values(acknowledged_by=change.actor, acknowledged_at=now_ms())
    )
    change.audit("acknowledge_alert", row.model, _detail(row), model=row.model)


def close(change: Change, alert_id: str, reason: str = "") -> None:
    """Close an alert: its condition, met again, opens a new one.

    Raises:
        NotFound: if there is no such alert.
        Conflict: if it is closed already.
    """
    row = _open_alert(change.connection, alert_id)
    change.execute(update(schema.alert).where(_ALERT.id == alert_id).values(closed_at=now_ms()))
    change.audit("close_alert", row.model, _detail(row, reason=reason), model=row.model)


def _detail(row: Row[Any], **more: str) -> dict[str, Any]:
    return {"alert": row.id, **{name: row._mapping[name] for name in _TOLD}, **more}


def _open_alert(connection: Connection, alert_id: str) -> Row[Any]:
    row = connection.execute(
        select(schema.alert).where(_ALERT.id == alert_id).with_for_update()
    ).one_or_none()
    if row is None:
        raise NotFound(f"there is no alert {alert_id!r}", kind="alert")
    if row.closed_at is not None:
        raise Conflict(f"alert {alert_id} is closed")
    return row


@dataclass(frozen=True, slots=True)
class Alert:
    """A deduplicated notice; times are Unix milliseconds.

    `source` is a node's name, or empty: all together; `count` says how often it was raised, and
    `nodes` how many nodes it stands for, 0 if it does not stand for many. `silenced_by` is the id
    of a silence, or empty. `component` says what it is about, `certainty` how sure it is,
    `first_look` where to begin.
    """

    id: str
    model: str
    version: str
    kind: str
    source: str
    field: str
    opened_at: int
    last_at: int
    closed_at: int | None
    count: int
    evidence: dict[str, Any]
    text: str
    acknowledged_by: str | None
    acknowledged_at: int | None
    severity: str
    silenced_by: str
    nodes: int
    component: str
    certainty: str
    first_look: str


def find(
    connection: Connection,
    *,
    model: str | None = None,
    open_only: bool = False,
    limit: int = 200,
) -> list[Alert]:
    """Return alerts: the open ones first, the most severe of them first, then the newest first.

    Args:
        connection: of an open transaction; it only reads.
        model: one model; None: all.
        open_only: leave out those that were closed.
        limit: most alerts.
    """
    conditions: list[ColumnElement[bool]] = []
    if model is not None:
        conditions.append(_ALERT.model == model)
    if open_only:
        conditions.append(_ALERT.closed_at.is_(None))
    severities = {severity.value: place for place, severity in enumerate(Severity)}
    is_open, rank = _ALERT.closed_at.is_(None), case(severities, value=_ALERT.severity)
    rows = connection.execute(
        select(schema.alert)
        .where(*conditions)
        .order_by(is_open.desc(), case((is_open, rank)), _ALERT.last_at.desc(), _ALERT.id.desc())
        .limit(limit)
    )
    return _plain(connection, rows.mappings().all())


def get(connection: Connection, alert_id: str) -> Alert:
    """Return one alert.

    Raises:
        NotFound: if there is no such alert.
    """
    row = connection.execute(select(schema.alert).where(_ALERT.id == alert_id)).one_or_none()
    if row is None:
        raise NotFound(f"there is no alert {alert_id!r}", kind="alert")
    return _plain(connection, [row._mapping])[0]


def _plain(connection: Connection, rows: Sequence[Mapping[Any, Any]]) -> list[Alert]:
    nodes = alert_groups.count_nodes(connection, [row["id"] for row in rows])
    found = []
    for row in rows:
        kind = alert_kinds.kind_of(row["kind"])
        values = {key: value for key, value in row.items() if key != "key"}
        found.append(
            Alert(
                **values,
                nodes=nodes.get(row["id"], 0),
                component=kind.component,
                certainty=kind.certainty,
                first_look=kind.first_look,
            )
        )
    return found
