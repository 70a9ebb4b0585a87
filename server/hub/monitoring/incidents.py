"""Incidents: opened by a person or by a critical alert, with notes, until the cause is known.

The timeline is not stored: it is what the audit chain has of the model at that time
(`incident_timeline`). So it is complete whenever it is read.
"""

import enum
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, insert, or_, select, update

from gnomon.runtime.errors import Conflict, NotFound
from gnomon.server.hub.alert_kinds import Severity
from gnomon.server.hub.monitoring import alerts
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.change import Change
from gnomon.server.hub.store.clock import new_id, now_ms
from gnomon.server.hub.store.database import Database

_INCIDENT, _NOTE, _ALERT = schema.incident.c, schema.incident_note.c, schema.alert.c
_TITLE = 255


class NoteKind(enum.StrEnum):
    """What a note is."""

    NOTE = "note"
    FOLLOW_UP = "follow_up"  # to be done after the incident


class Cause(enum.StrEnum):
    """Where the root cause was; most causes are not in the model."""

    MODEL = "model"
    DATA = "data"
    CODE = "code"
    CONFIGURATION = "configuration"
    NODE = "node"
    NETWORK = "network"
    HUB = "hub"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Incident:
    """An incident; times are Unix milliseconds. `alert` is the id of the alert that opened it."""

    id: str
    title: str
    severity: str
    model: str
    alert: str
    began_at: int
    opened_at: int
    opened_by: str
    resolved_at: int | None
    resolved_by: str
    cause: str
    root_cause: str
    resolution: str


@dataclass(frozen=True, slots=True)
class IncidentNote:
    """What somebody wrote down, or what is to be done (`follow_up`)."""

    at: int
    actor: str
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class IncidentRequest:
    """What an incident is about; with an alert, what is empty is the alert's."""

    title: str = ""
    severity: Severity | None = None
    model: str = ""
    alert: str = ""


@dataclass(frozen=True, slots=True)
class Resolution:
    """How an incident ended."""

    cause: Cause
    root_cause: str
    resolution: str


def open_incident(change: Change, wanted: IncidentRequest) -> str:
    """Open an incident; return its id.

    Raises:
        NotFound: if there is no such alert.
        Conflict: if there is an open incident of the alert.
    """
    now, incident_id = now_ms(), new_id()
    alert = alerts.get(change.connection, wanted.alert) if wanted.alert else None
    if alert is not None and _of_alert(change.connection, alert.id):
        raise Conflict(f"alert {alert.id} has an incident already")
    model = wanted.model or (alert.model if alert else "")
    values = {
        "id": incident_id,
        "title": (wanted.title or (alert.text if alert else "incident"))[:_TITLE],
        "severity": wanted.severity or (alert.severity if alert else Severity.ERROR),
        "model": model,
        "alert": wanted.alert,
        "began_at": alert.opened_at if alert else now,
        "opened_at": now,
        "opened_by": change.actor,
    }
    change.execute(insert(schema.incident).values(**values))
    detail = {"incident": incident_id, "text": values["title"], "alert": wanted.alert}
    change.audit("open_incident", model, detail, model=model or None)
    return incident_id


def add_note(change: Change, incident_id: str, kind: NoteKind, text: str) -> None:
    """Write a note, or what is to be done after the incident; after its end too.

    Args:
        change: the caller's open transaction.
        incident_id: which one.
        kind: note or follow-up.
        text: for people.

    Raises:
        NotFound: if there is no such incident.
    """
    row = _row(change.connection, incident_id)
    values = {"incident": row.id, "at": now_ms(), "actor": change.actor, "kind": kind.value}
    change.execute(insert(schema.incident_note).values(text=text, **values))
    detail = {"incident": row.id, "kind": kind, "text": text}
    change.audit("note_incident", row.model, detail, model=row.model or None)


def resolve(change: Change, incident_id: str, found: Resolution) -> None:
    """Resolve an incident, or say better what an earlier resolution said.

    Raises:
        NotFound: if there is no such incident.
    """
    row = _row(change.connection, incident_id)
    change.execute(
        update(schema.incident)
        .where(_INCIDENT.id == row.id)
        .values(
            resolved_at=row.resolved_at or now_ms(),
            resolved_by=change.actor,
            cause=found.cause.value,
            root_cause=found.root_cause,
            resolution=found.resolution,
        )
    )
    detail = {"incident": row.id, "cause": found.cause, "reason": found.root_cause}
    change.audit("resolve_incident", row.model, detail, model=row.model or None)


def find(
    connection: Connection, text: str = "", *, open_only: bool = False, limit: int = 100
) -> list[Incident]:
    """Return incidents, the newest first.

    Args:
        connection: of an open transaction; it only reads.
        text: in title, model, root cause, resolution or notes, in any case; empty: any.
        open_only: leave out those that were resolved.
        limit: most incidents.
    """
    wanted = select(schema.incident).order_by(_INCIDENT.id.desc()).limit(limit)
    if open_only:
        wanted = wanted.where(_INCIDENT.resolved_at.is_(None))
    if text:
        noted = select(_NOTE.incident).where(_NOTE.text.icontains(text, autoescape=True))
        searched = (
            _INCIDENT.title,
            _INCIDENT.model,
            _INCIDENT.root_cause,
            _INCIDENT.resolution,
        )
        found = [column.icontains(text, autoescape=True) for column in searched]
        wanted = wanted.where(or_(*found, _INCIDENT.id.in_(noted)))
    return [Incident(**row) for row in connection.execute(wanted).mappings()]


def get(connection: Connection, incident_id: str) -> Incident:
    """Return one incident; raises `NotFound` if it is unknown."""
    return Incident(**_row(connection, incident_id)._mapping)


def notes(connection: Connection, incident_id: str) -> list[IncidentNote]:
    """Return the notes of an incident, the oldest first."""
    rows = connection.execute(
        select(_NOTE.at, _NOTE.actor, _NOTE.kind, _NOTE.text)
        .where(_NOTE.incident == incident_id)
        .order_by(_NOTE.position)
    )
    return [IncidentNote(**row) for row in rows.mappings()]


def count_causes(connection: Connection) -> dict[str, int]:
    """Return how many resolved incidents had each cause."""
    rows = connection.execute(
        select(_INCIDENT.cause, func.count())
        .where(_INCIDENT.resolved_at.is_not(None))
        .group_by(_INCIDENT.cause)
        .order_by(_INCIDENT.cause)
    )
    return {row[0]: row[1] for row in rows}


def run_once(database: Database) -> None:
    """Open an incident for each critical alert that is open, is not silenced, and has none."""
    wanted = (
        select(_ALERT.id)
        .outerjoin(schema.incident, _INCIDENT.alert == _ALERT.id)
        .where(
            _ALERT.closed_at.is_(None),
            _ALERT.severity == Severity.CRITICAL.value,
            _ALERT.silenced_by == "",
            _INCIDENT.id.is_(None),
        )
        .order_by(_ALERT.id)
    )
    with database.read() as connection:
        if not connection.scalars(wanted).all():
            return
    with database.change(alerts.MONITOR) as change:
        for alert_id in change.connection.scalars(wanted).all():
            open_incident(change, IncidentRequest(alert=alert_id))


def _of_alert(connection: Connection, alert_id: str) -> str | None:
    return connection.scalar(select(_INCIDENT.id).where(_INCIDENT.alert == alert_id).limit(1))


def _row(connection: Connection, incident_id: str) -> Row[Any]:
    row = connection.execute(
        select(schema.incident).where(_INCIDENT.id == incident_id)
    ).one_or_none()
    if row is None:
        raise NotFound(f"there is no incident {incident_id!r}", kind="incident")
    return row
