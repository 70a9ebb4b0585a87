"""The alert for what nodes found wrong with this hub's audit chain: one for all nodes.

A node reports the event `audit_chain` if the chain has lost or changed a record that it knew, or if
the hub was restored. It reports the same again after a restart; only what is new counts here. A
person closes the alert; what is reported after that raises another.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, func, select

from gnomon.server.hub.monitoring import alerts
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.database import Database

#: The kind of the alert, and of nodes' events.
AUDIT_CHAIN = "audit_chain"

#: Reports of one look; more are read with the next.
_MOST = 100
_TEXT_CHARACTERS = 1_000

_EVENT, _ALERT = schema.event.c, schema.alert.c

_Report = Row[*tuple[Any, ...]]  # position, node, detail, when it was received


class AuditFindings:
    """Follows the events of nodes; one hub process has one, for a single thread."""

    def __init__(self) -> None:
        self._position = 0

    def run_once(self, database: Database) -> None:
        """Raise the alert for what nodes have reported since the last time."""
        with database.read() as connection:
            rows, position = self._follow(connection)
            told_at = _told_at(connection)
        new = [row for row in rows if row.received_at > told_at]
        if new:
            with database.write() as connection:
                for row in new:
                    alerts.raise_alert(connection, _condition(row))
        self._position = position

    def _follow(self, connection: Connection) -> tuple[Sequence[_Report], int]:
        """Return new reports that no node has made before in these words, and how far was read."""
        newest = connection.scalar(select(func.max(_EVENT.position))) or 0
        if newest == self._position:
            return [], newest
        before = schema.event.alias()
        is_repeated = (
            select(before.c.position)
            .where(
                before.c.node == _EVENT.node,
                before.c.kind == AUDIT_CHAIN,
                before.c.detail == _EVENT.detail,
                before.c.position < _EVENT.position,
            )
            .exists()
        )
        rows = connection.execute(
            select(_EVENT.position, _EVENT.node, _EVENT.detail, _EVENT.received_at)
            .where(
                _EVENT.position > self._position,
                _EVENT.position <= newest,
                _EVENT.kind == AUDIT_CHAIN,
                ~is_repeated,
            )
            .order_by(_EVENT.position)
            .limit(_MOST)
        ).all()
        return rows, rows[-1].position if len(rows) == _MOST else newest


def _told_at(connection: Connection) -> int:
    """Return until when reports have raised the alert; what came before it was closed is known."""
    found: int | None = connection.scalar(
        select(func.max(func.coalesce(_ALERT.closed_at, _ALERT.last_at))).where(
            _ALERT.kind == AUDIT_CHAIN
        )
    )
    return found or 0


def _condition(row: _Report) -> alerts.Condition:
    text = (
        f"{row.node}: {row.detail[:_TEXT_CHARACTERS]}; if no backup was restored, compare with "
        "several nodes: `gnomon hub audit verify --against` a node's audit.json"
    )
    return alerts.Condition("", AUDIT_CHAIN, "", "", "", text, {"node": row.node})
