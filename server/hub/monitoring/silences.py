"""Silences: alerts that are shown and not sent until a time.

An alert that opens while a silence covers it is recorded as always; its events are not delivered.
If it is still open when the silence ends, it is delivered then. A silence always has an end.
"""

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from gnomon.runtime.errors import Conflict, InvalidInput, NotFound
from gnomon.server.hub.store import audit, schema
from gnomon.server.hub.store.change import Change
from gnomon.server.hub.store.clock import DAY_MS, new_id, now_ms
from gnomon.server.hub.store.database import Database

#: The longest silence.
LONGEST_MS = 90 * DAY_MS

_MONITOR = "monitor"
_ALERT, _SILENCE = schema.alert.c, schema.silence.c


@dataclass(frozen=True, slots=True)
class Silence:
    """Alerts that are not sent until a time: patterns of model, kind and source; Unix ms."""

    id: str
    models: str
    kinds: str
    sources: str
    reason: str
    actor: str
    created_at: int
    ends_at: int

    def covers(self, model: str, kind: str, source: str) -> bool:
        """Return whether an alert is silenced."""
        pairs = ((model, self.models), (kind, self.kinds), (source, self.sources))
        return all(fnmatch.fnmatchcase(name, pattern) for name, pattern in pairs)


@dataclass(frozen=True, slots=True)
class SilenceRequest:
    """What should be silenced, and until when (Unix ms)."""

    ends_at: int
    models: str = "*"
    kinds: str = "*"
    sources: str = "*"
    reason: str = ""


def add(change: Change, wanted: SilenceRequest) -> Silence:
    """Silence alerts until a time, those that are open too.

    Raises:
        InvalidInput: if the end is not in the future, or too far.
        NotAllowed: if the actor may not, for all models that the pattern matches.
    """
    now = now_ms()
    if not now < wanted.ends_at <= now + LONGEST_MS:
        raise InvalidInput(
            f"a silence should end within {LONGEST_MS // DAY_MS} days from now; its end is "
            f"{wanted.ends_at}, now is {now} (Unix milliseconds)"
        )
    made = Silence(
        new_id(),
        wanted.models,
        wanted.kinds,
        wanted.sources,
        wanted.reason,
        change.actor,
        now,
        wanted.ends_at,
    )
    values = {name: getattr(made, name) for name in Silence.__slots__}
    change.execute(insert(schema.silence).values(**values))
    change.audit("add_silence", made.models, values, model=made.models)
    covered = [row.id for row in _open(change.connection, "") if _covers(made, row)]
    _mark(change.connection, covered, made.id)
    return made


def end(change: Change, silence_id: str) -> Silence:
    """End a silence now; alerts that are still open are sent.

    Raises:
        NotFound: if there is no such silence.
        Conflict: if it has ended.
    """
    row = change.execute(
        select(schema.silence).where(_SILENCE.id == silence_id).with_for_update()
    ).one_or_none()
    if row is None:
        raise NotFound(f"there is no silence {silence_id!r}", kind="silence")
    if row.ends_at <= now_ms():
        raise Conflict(f"silence {silence_id} has ended")
    ended = Silence(**{**row._mapping, "ends_at": now_ms()})
    change.execute(
        update(schema.silence).where(_SILENCE.id == silence_id).values(ends_at=ended.ends_at)
    )
    change.audit("end_silence", ended.models, {"silence": silence_id}, model=ended.models)
    _release(change.connection, silence_id)
    return ended


def listing(connection: Connection, *, ended: bool = False) -> list[Silence]:
    """Return the silences that hold now, or all that there were, the newest first."""
    wanted = select(schema.silence).order_by(_SILENCE.id.desc()).limit(1_000)
    if not ended:
        wanted = wanted.where(_SILENCE.ends_at > now_ms())
    return [Silence(**row) for row in connection.execute(wanted).mappings()]


def find(connection: Connection, model: str, kind: str, source: str) -> str:
    """Return the id of a silence that covers an alert now, or nothing.

    Args:
        connection: of an open transaction; it only reads.
        model: of the alert, or empty.
        kind: of the alert.
        source: a node's name, or empty.
    """
    covering = (one.id for one in listing(connection) if one.covers(model, kind, source))
    return next(covering, "")


def run_once(database: Database) -> None:
    """Send the alerts that are still open of silences that have ended."""
    with database.read() as connection:
        ended = _ended(connection)
    if ended:
        with database.write() as connection:
            for silence_id in ended:
                _release(connection, silence_id)


def _ended(connection: Connection) -> Sequence[str]:
    return connection.scalars(
        select(_ALERT.silenced_by)
        .distinct()
        .join_from(schema.alert, schema.silence, _ALERT.silenced_by == _SILENCE.id)
        .where(_ALERT.closed_at.is_(None), _SILENCE.ends_at <= now_ms())
    ).all()


def _release(connection: Connection, silence_id: str) -> None:
    """Send the open alerts of a silence, unless another one covers them."""
    for row in _open(connection, silence_id):
        other = find(connection, row.model, row.kind, row.source)
        _mark(connection, [row.id], other)
        if not other:
            audit.append(connection, _MONITOR, "resend_alert", row.model, _detail(row))


def _detail(row: Row[Any]) -> dict[str, Any]:
    kept = ("kind", "severity", "version", "source", "field", "text", "opened_at")
    return {"alert": row.id, **{name: row._mapping[name] for name in kept}, "silenced_by": ""}


def _open(connection: Connection, silence_id: str) -> Sequence[Row[Any]]:
    return connection.execute(
        select(schema.alert)
        .where(_ALERT.closed_at.is_(None), _ALERT.silenced_by == silence_id)
        .order_by(_ALERT.id)
    ).all()


def _covers(made: Silence, row: Row[Any]) -> bool:
    return made.covers(row.model, row.kind, row.source)


def _mark(connection: Connection, alerts: Sequence[str], silence_id: str) -> None:
    for alert_id in alerts:
        connection.execute(
            update(schema.alert).where(_ALERT.id == alert_id).values(silenced_by=silence_id)
        )
