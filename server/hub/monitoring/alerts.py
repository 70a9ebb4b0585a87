"""Alerts: one notice while a condition lasts, however often it is raised.

An alert is open until somebody or something closes it; the same condition met again while it is
open moves its time and count. Its text and evidence stay those of the first time, since a later
window may show the same condition less clearly; later texts are appended to the evidence, as
`later`, up to `LATER`. Opening, acknowledging and closing are audited in the same
transaction; that it was met again is not.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, insert, select, update

from gnomon.runtime.errors import Conflict, NotFound
from gnomon.server.hub.store import audit, schema
from gnomon.server.hub.store.change import Change
from gnomon.server.hub.store.clock import new_id, now_ms

#: Who raises alerts, as the audit names it.
MONITOR = "monitor"

#: How many of the newest later texts an alert keeps.
LATER = 20

_KEY_CHARACTERS = 255
_ALERT = schema.alert.c


@dataclass(frozen=True, slots=True)
class Condition:
    """What an alert is about; its first four parts say which alert it is."""

    model: str
    kind: str  # source_moved, all_moved, losses_moved, rolled_back, …
    source: str  # a node's name, or empty: all of them
    field: str
    version: str
    text: str
    evidence: Mapping[str, Any] = dataclass_field(default_factory=dict)

    @property
    def key(self) -> str:
        """Return what is equal for the same condition, within the column's length."""
        key = "/".join((self.model, self.kind, self.source, self.field))
        if len(key) <= _KEY_CHARACTERS:
            return key
        return hashlib.sha256(key.encode()).hexdigest()


def raise_alert(connection: Connection, condition: Condition) -> bool:
    """Open an alert in the caller's transaction, or count it again; return whether it is new."""
    now = now_ms()
    evidence = dict(condition.evidence)
    # The row lock keeps two processes from opening the same alert; the unique index sees to it.
    known = connection.execute(
        select(_ALERT.id, _ALERT.text, _ALERT.evidence)
        .where(_ALERT.key == condition.key, _ALERT.closed_at.is_(None))
        .with_for_update()
    ).one_or_none()
    if known is not None:
        connection.execute(
            update(schema.alert)
            .where(_ALERT.id == known.id)
            .values(
                last_at=now,
                count=_ALERT.count + 1,
                evidence=_append(known.text, known.evidence, condition),
            )
        )
        return False
    alert_id = new_id()
    connection.execute(
        insert(schema.alert).values(
            id=alert_id,
            key=condition.key,
            model=condition.model,
            version=condition.version,
            kind=condition.kind,
            source=condition.source,
            field=condition.field,
            opened_at=now,
            last_at=now,
            count=1,
            evidence=evidence,
            text=condition.text,
        )
    )
    detail = {"alert": alert_id, "text": condition.text}
    audit.append(connection, MONITOR, "open_alert", condition.model, detail)
    return True


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
    detail = {"alert": alert_id, "text": row.text}
    change.audit("acknowledge_alert", row.model, detail, model=row.model)


def close(change: Change, alert_id: str, reason: str = "") -> None:
    """Close an alert: its condition, met again, opens a new one.

    Raises:
        NotFound: if there is no such alert.
        Conflict: if it is closed already.
    """
    row = _open_alert(change.connection, alert_id)
    change.execute(update(schema.alert).where(_ALERT.id == alert_id).values(closed_at=now_ms()))
    detail = {"alert": alert_id, "reason": reason, "text": row.text}
    change.audit("close_alert", row.model, detail, model=row.model)


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

    `source` is a node's name, or empty: all together; `count` says how often it was raised.
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


def find(
    connection: Connection,
    *,
    model: str | None = None,
    open_only: bool = False,
    limit: int = 200,
) -> list[Alert]:
    """Return alerts: the open ones first, then the newest first.

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
    rows = connection.execute(
        select(schema.alert)
        .where(*conditions)
        .order_by(_ALERT.closed_at.is_not(None), _ALERT.last_at.desc(), _ALERT.id.desc())
        .limit(limit)
    )
    return [_plain(row) for row in rows.mappings()]


def get(connection: Connection, alert_id: str) -> Alert:
    """Return one alert.

    Raises:
        NotFound: if there is no such alert.
    """
    row = connection.execute(select(schema.alert).where(_ALERT.id == alert_id)).one_or_none()
    if row is None:
        raise NotFound(f"there is no alert {alert_id!r}", kind="alert")
    return _plain(row._mapping)


def _plain(row: Mapping[Any, Any]) -> Alert:
    return Alert(**{key: value for key, value in row.items() if key != "key"})
