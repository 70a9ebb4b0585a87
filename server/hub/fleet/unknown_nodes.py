"""Nodes that this hub does not know although its own authority issued their certificate.

Their enrolment is lost, as after a backup from before it was restored. An alert names each; a
person may then adopt the node, which needs no token: its next call is accepted again.
"""

import threading
from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, insert, select

from gnomon.runtime.errors import Conflict, NotFound
from gnomon.server.hub.access import environments
from gnomon.server.hub.access.authority import NODE, CertificateIdentity
from gnomon.server.hub.monitoring import alerts
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.change import Change
from gnomon.server.hub.store.clock import now_ms
from gnomon.server.hub.store.database import Database

#: The kind of the alerts; their field is the SHA-256 of the public key.
UNKNOWN_NODE = "unknown_node"

#: Unknown keys that one process remembers; more of them raise no alert until it starts again.
_REMEMBERED = 1_000

_NODE, _ALERT = schema.node.c, schema.alert.c


class UnknownNodes:
    """Raises an alert for each unknown node, and closes it once the node is enrolled.

    `note` may be called by any thread, `run_once` by one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._noted: dict[str, CertificateIdentity] = {}
        self._raised: set[str] = set()

    def note(self, identity: CertificateIdentity) -> None:
        """Remember that somebody called with a certificate of a name that is not enrolled."""
        with self._lock:
            if identity.role == NODE and len(self._noted) < _REMEMBERED:
                self._noted.setdefault(identity.key_hash, identity)

    def run_once(self, database: Database) -> None:
        """Raise and close alerts. One that a person has closed stays closed while this runs."""
        with self._lock:
            noted = dict(self._noted)
        new = [one for key, one in noted.items() if key not in self._raised]
        with database.read() as connection:
            known = {row.id: row.source for row in _rows(connection, is_open=True)}
            names = {*known.values(), *(one.name for one in noted.values())}
            enrolled = _enrolled(connection, names) if names else set()
        new = [one for one in new if one.name not in enrolled]
        gone = [alert for alert, name in known.items() if name in enrolled]
        if new or gone:
            with database.change(alerts.MONITOR) as change:
                for one in new:
                    alerts.raise_alert(change.connection, _condition(one))
                for alert in gone:
                    alerts.close(change, alert, "the node is enrolled")
        self._raised.update(one.key_hash for one in new)
        with self._lock:  # a name that is forgotten once more is new again
            self._noted = {key: one for key, one in self._noted.items() if one.name not in enrolled}
            self._raised &= self._noted.keys()


def adopt(change: Change, name: str, environment: str, key: str = "") -> str:
    """Enrol an unknown node with the key that it has; return the key's SHA-256, in hex.

    Args:
        change: the transaction.
        name: of the node.
        environment: that it belongs to from now on.
        key: how the SHA-256 of its public key begins; needed if several have called by the name.

    Raises:
        NotFound: no such node has called, or there is no such environment.
        Conflict: a node of the name is enrolled, or several keys have called by it.
        NotAllowed: the actor may not adopt nodes of the environment.
    """
    environments.check(change.connection, environment)
    change.check("adopt_node", environment=environment)
    if change.connection.scalar(select(_NODE.name).where(_NODE.name == name)):
        raise Conflict(f"{name!r} is enrolled already")
    found = _find(change.connection, name, key)
    change.execute(
        insert(schema.node).values(
            name=name,
            role=NODE,
            environment=environment,
            certificate_serial=found["serial"],
            # Any certificate of the key counts: the newest one may not be the one that was shown.
            former_serial=None,
            key_hash=found["key"],
            enrolled_at=now_ms(),
            facts={},
            digests=[],
            spool={},
        )
    )
    detail = {"environment": environment, "key": found["key"], "serial": found["serial"]}
    change.audit("adopt_node", name, detail, environment=environment)
    return str(found["key"])


def _enrolled(connection: Connection, names: Collection[str]) -> set[str]:
    return set(connection.scalars(select(_NODE.name).where(_NODE.name.in_(names))))


def _find(connection: Connection, name: str, key: str) -> dict[str, Any]:
    """Return what the alert of an unknown node says of its certificate."""
    rows = [row for row in _rows(connection, name) if row.field.startswith(key)]
    chosen = {row.field: row.evidence for row in rows if row.closed_at is None}
    chosen = chosen or {row.field: row.evidence for row in rows}
    if not chosen:
        of_key = f" and a key {key[:64]!r}" if key else ""
        raise NotFound(
            f"no unknown node with the name {name[:80]!r}{of_key} has called this hub with a "
            "certificate of its authority; see the alerts of the kind unknown_node",
            kind="node",
        )
    if len(chosen) > 1:
        raise Conflict(
            f"nodes with {len(chosen)} keys have called by the name {name!r}; say which one by the "
            f"beginning of its key: {', '.join(sorted(one[:16] for one in chosen))}"
        )
    (found,) = chosen.values()
    return dict(found)


def _rows(connection: Connection, name: str | None = None, *, is_open: bool = False) -> list[Any]:
    wanted = select(
        _ALERT.id, _ALERT.source, _ALERT.field, _ALERT.evidence, _ALERT.closed_at
    ).where(_ALERT.kind == UNKNOWN_NODE)
    if name is not None:
        wanted = wanted.where(_ALERT.source == name)
    if is_open:
        wanted = wanted.where(_ALERT.closed_at.is_(None))
    return list(connection.execute(wanted))


def _condition(one: CertificateIdentity) -> alerts.Condition:
    text = (
        f"{one.name} calls with a certificate that this hub issued, and is not enrolled: was the "
        f"hub restored from an older backup? If the node is yours, `gnomon hub adopt {one.name}` "
        f"enrols it again; its key is {one.key_hash[:16]}"
    )
    evidence = {"key": one.key_hash, "serial": one.serial, "issued_at": one.issued_at}
    return alerts.Condition("", UNKNOWN_NODE, one.name, one.key_hash, "", text, evidence)
