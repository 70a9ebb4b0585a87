"""A cache of desired states, valid until the audit chain grows.

Every decision commits together with its audit record, so no desired state can change while the
chain does not grow. So no change has to name the states that it invalidates.
"""

import hashlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from gnomon.proto import hub_pb2
from gnomon.server.hub.store import counters, schema

#: Entries that are kept; the cache is cleared when it has more.
_KEPT = 256

_METADATA = schema.trust_metadata.c
#: Roles of signed metadata that do not say what a node may take.
_NO_TARGETS = ("root", "snapshot", "timestamp")

Build = Callable[[Connection, Sequence[str], str], hub_pb2.DesiredState]


@dataclass(frozen=True, slots=True)
class HashedState:
    """A state without its number, and the SHA-256 of what a node would do."""

    state: hub_pb2.DesiredState
    hash: str


class DesiredStates:
    """A cache by environment and engines. Safe to share between threads."""

    def __init__(self, build: Build) -> None:
        """Keep what `build` makes of a connection, engines and an environment."""
        self._build = build
        self._lock = threading.Lock()
        self._decided = -1  # the audit chain's length of which the kept states are
        self._kept: dict[tuple[str, tuple[str, ...]], HashedState] = {}

    def find(self, connection: Connection, engines: Sequence[str], environment: str) -> HashedState:
        """Return what is wanted of nodes of an environment that can run these formats."""
        decided = connection.scalar(
            select(schema.counter.c.value).where(schema.counter.c.name == counters.AUDIT)
        )
        key = (environment, tuple(engines))
        with self._lock:
            known = self._kept.get(key) if decided == self._decided else None
        if known is not None:
            return known
        state = self._build(connection, engines, environment)
        targets = connection.scalar(
            select(func.sum(_METADATA.version)).where(_METADATA.role.not_in(_NO_TARGETS))
        )
        wanted = HashedState(state, _hash(state, int(targets or 0)))
        with self._lock:
            if decided != self._decided or len(self._kept) >= _KEPT:
                self._decided, self._kept = decided or 0, {}
            self._kept[key] = wanted
        return wanted


def _hash(state: hub_pb2.DesiredState, targets: int) -> str:
    """Return the SHA-256 of what a node would do; a further signature changes nothing there.

    After a change of what the targets metadata states, which raises the sum of its versions, a node
    may take what it refused.
    """
    bare = hub_pb2.DesiredState()
    bare.CopyFrom(state)
    for package in bare.packages:
        del package.envelopes[:]
    data = bare.SerializeToString(deterministic=True)
    return hashlib.sha256(b"%d:%b" % (targets, data)).hexdigest()
