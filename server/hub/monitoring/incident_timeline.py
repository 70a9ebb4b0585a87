"""What happened around an incident, from the audit chain, and the postmortem."""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, select

from gnomon.server.hub.monitoring import incidents
from gnomon.server.hub.monitoring.incidents import Incident, IncidentNote, NoteKind
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.clock import calendar, now_ms

#: What happened shortly before the beginning may be the cause.
BEFORE_MS = 3_600_000
#: The newest entries that are shown.
MOST = 500

_AUDIT = schema.audit.c

#: Actions of the audit chain that belong to no timeline.
_OTHER = ("receive_alert", "record_run")
#: Actions on an incident, which belong to its own timeline, after its end too.
_OWN = ("open_incident", "note_incident", "resolve_incident")
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#])")


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """What happened: an action of the audit chain; `at` is Unix milliseconds."""

    at: int
    actor: str
    action: str
    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class IncidentDetails(Incident):
    """An incident with its notes and what happened around it."""

    notes: list[IncidentNote]
    timeline: list[TimelineEntry]


def describe(connection: Connection, incident_id: str) -> IncidentDetails:
    """Return an incident with its timeline; raises `NotFound` if it is unknown."""
    found = incidents.get(connection, incident_id)
    noted = incidents.notes(connection, incident_id)
    return IncidentDetails(**asdict(found), notes=noted, timeline=_timeline(connection, found))


def _timeline(connection: Connection, found: Incident) -> list[TimelineEntry]:
    """Return what the chain has of the model, and of the hub as a whole, at that time."""
    end = found.resolved_at or now_ms()
    wanted = (
        select(_AUDIT.at, _AUDIT.actor, _AUDIT.action, _AUDIT.subject, _AUDIT.detail)
        .where(
            _AUDIT.at >= found.began_at - BEFORE_MS,
            (_AUDIT.at <= end) | _AUDIT.action.in_(_OWN),
            _AUDIT.action.not_in(_OTHER),
        )
        .order_by(_AUDIT.sequence.desc())
        .limit(MOST)
    )
    if found.model:
        subject = _AUDIT.subject
        wanted = wanted.where(
            subject.in_(["", found.model]) | subject.startswith(found.model + "@", autoescape=True)
        )
    entries = []
    for row in reversed(connection.execute(wanted).all()):
        detail = json.loads(row.detail)
        if row.action in _OWN and detail.get("incident") != found.id:
            continue
        text = str(detail.get("text") or detail.get("reason") or "")
        entries.append(TimelineEntry(row.at, row.actor, row.action, row.subject, text))
    return entries


def to_markdown(found: IncidentDetails) -> str:
    """Return the postmortem of an incident as Markdown; what people wrote is escaped."""
    duration = ((found.resolved_at or now_ms()) - found.began_at) / 60_000
    lines = [
        f"# {_plain(found.title)}",
        "",
        f"- Incident: {found.id}",
        f"- Severity: {found.severity}",
        f"- Model: {_plain(found.model) or 'none'}",
        f"- Began: {_time(found.began_at)}",
        f"- Resolved: {_time(found.resolved_at) if found.resolved_at else 'not yet'}",
        f"- Duration: {duration:,.0f} minutes",
        f"- Opened by: {_plain(found.opened_by)}",
        *_section("Root cause", _cause(found)),
        *_section("Resolution", found.resolution),
        "",
        "## Timeline",
        "",
        *_table(found.timeline),
        "",
        "## Follow-ups",
        "",
    ]
    follow_ups = [one for one in found.notes if one.kind == NoteKind.FOLLOW_UP]
    lines += [f"- [ ] {_plain(one.text)} ({_plain(one.actor)})" for one in follow_ups]
    return "\n".join(lines if follow_ups else [*lines, "None."]) + "\n"


def _cause(found: Incident) -> str:
    return f"{found.cause}: {found.root_cause}" if found.cause else ""


def _section(title: str, text: str) -> list[str]:
    return ["", f"## {title}", "", _plain(text) or "Not known yet."]


def _table(entries: Sequence[TimelineEntry]) -> list[str]:
    rows = [
        f"| {_time(one.at)} | {_plain(one.actor)} | {_plain(one.action.replace('_', ' '))} "
        f"{_plain(one.subject)} | {_plain(one.text)} |"
        for one in entries
    ]
    return ["| when | who | what | why |", "|---|---|---|---|", *rows]


def _time(at: int) -> str:
    return f"{calendar(at):%Y-%m-%d %H:%M:%S} UTC"


def _plain(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
