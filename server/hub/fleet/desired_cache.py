"""The cache of desired states, by environment and by what a node can run."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from gnomon.proto import hub_pb2
from gnomon.server.hub.fleet.audited_cache import AuditedCache
from gnomon.server.hub.store import schema

_METADATA = schema.trust_metadata.c
#: Roles of signed metadata that do not say what a node may take.
_NO_TARGETS = ("root", "snapshot", "timestamp")

_Key = tuple[str, tuple[str, ...]]  # environment and engines
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
        self._states = AuditedCache(self._build_hashed)

    def find(self, connection: Connection, engines: Sequence[str], environment: str) -> HashedState:
        """Return what is wanted of nodes of an environment that can run these formats."""
        return self._states.find(connection, (environment, tuple(engines)))

    def _build_hashed(self, connection: Connection, key: _Key) -> HashedState:
        environment, engines = key
        state = self._build(connection, engines, environment)
        targets = connection.scalar(
            select(func.sum(_METADATA.version)).where(_METADATA.role.not_in(_NO_TARGETS))
        )
        return HashedState(state, _hash(state, int(targets or 0)))


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
