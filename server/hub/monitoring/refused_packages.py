"""Alerts for packages that nodes refuse: one for each model, whichever nodes refuse it.

A node that refuses one package goes on with all others, so nothing else shows it. An alert closes
when no node refuses a package of the model any more.
"""

from collections import defaultdict
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from gnomon.server.hub.monitoring import alerts
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.database import Database

#: The kind of the alerts.
PACKAGE_REFUSED = "package_refused"

#: Nodes that an alert's evidence names.
EXAMPLES = 10

_NODE, _VERSION, _ALERT = schema.node.c, schema.version.c, schema.alert.c


class _Refused(NamedTuple):
    """What one node refuses; the model is empty if the node refuses a whole desired state."""

    node: str
    model: str
    version: str
    reason: str


def run_once(database: Database) -> None:
    """Raise alerts for what nodes refuse now, and close those of what none refuses any more."""
    with database.read() as connection:
        wanted = _conditions(connection)
        known = _open_alerts(connection)
    if wanted.keys() == known.keys():
        return
    with database.change(alerts.MONITOR) as change:
        for key in wanted.keys() - known.keys():
            alerts.raise_alert(change.connection, wanted[key])
        for key in known.keys() - wanted.keys():
            alerts.close(change, known[key], "no node refuses it any more")


def _conditions(connection: Connection) -> dict[str, alerts.Condition]:
    found: dict[tuple[str, str], list[_Refused]] = defaultdict(list)
    for one in _refused(connection):
        found[one.model, "" if one.model else one.node].append(one)
    conditions = [_condition(ones) for ones in found.values()]
    return {condition.key: condition for condition in conditions}


def _condition(refused: list[_Refused]) -> alerts.Condition:
    first = refused[0]
    nodes = sorted({one.node for one in refused})
    others = f" and {len(nodes) - 1:,} others refuse" if len(nodes) > 1 else " refuses"
    package = f"{first.model}@{first.version}" if first.version else first.model
    what = package or "the desired state"
    return alerts.Condition(
        first.model,
        PACKAGE_REFUSED,
        "" if first.model else first.node,
        "",
        first.version,
        f"{first.node}{others} {what}: {first.reason or 'no reason given'}",
        {"nodes": len(nodes), "examples": nodes[:EXAMPLES]},
    )


def _refused(connection: Connection) -> list[_Refused]:
    """Return what nodes refuse of their present desired state, by the registry's names.

    A node is believed about the packages that were assigned to it, and about known models.
    """
    rows = connection.execute(
        select(_NODE.name, _NODE.refused, _NODE.reason, _NODE.assigned)
        .where(
            _NODE.refused_generation == _NODE.generation,
            _NODE.generation > 0,
            _NODE.revoked_at.is_(None),
        )
        .order_by(_NODE.name)
    ).all()
    known = _Names(connection, [one for row in rows for one in row.refused])
    found = []
    for row in rows:
        ones = row.refused or [{"route": "", "digest": "", "reason": row.reason}]
        for one in ones:
            is_assigned = one["digest"] in row.assigned
            model, version = known.find(one if is_assigned else {**one, "digest": ""})
            found.append(_Refused(row.name, model, version, one["reason"]))
    return found


class _Names:
    """The models and versions that refusals are about."""

    def __init__(self, connection: Connection, refused: list[dict[str, str]]) -> None:
        rows = (
            connection.execute(
                select(_VERSION.digest, _VERSION.name, _VERSION.version).where(
                    _VERSION.digest.in_({one["digest"] for one in refused})
                    | _VERSION.name.in_({one["route"] for one in refused})
                )
            ).all()
            if refused
            else []
        )
        self._versions = {row.digest: (row.name, row.version) for row in rows}
        self._models = {row.name for row in rows}

    def find(self, refused: dict[str, str]) -> tuple[str, str]:
        """Return model and version; both are empty if the registry does not have them."""
        model = refused["route"] if refused["route"] in self._models else ""
        return self._versions.get(refused["digest"], (model, ""))


def _open_alerts(connection: Connection) -> dict[str, Any]:
    rows = connection.execute(
        select(_ALERT.key, _ALERT.id).where(
            _ALERT.kind == PACKAGE_REFUSED, _ALERT.closed_at.is_(None)
        )
    )
    return {row.key: row.id for row in rows}
