"""Answers to nodes that report the same again, from memory.

Most exchanges change nothing: the node reports what it has reported before, and nothing was
decided since. Such a node gets its former answer, with the time. When it called is written for many
nodes in one transaction. So these calls cost no query. At least once a minute a node's report is
stored all the same, since the node may have called another hub of this database meanwhile, and
signed metadata has to be fresh.
"""

import threading
import time
from typing import NamedTuple

from sqlalchemy import bindparam, update

from gnomon.proto import hub_pb2
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.clock import now_ms
from gnomon.server.hub.store.database import Database
from gnomon.server.hub.store.decisions import Decisions

#: How long an answer is given again.
KEPT_SECONDS = 60.0
#: How often the times of calls are written, or twice in the time between two calls of a node.
WRITE_SECONDS = 2.0
#: Nodes that are remembered; all are forgotten when there are more.
_NODES = 65_536

_SEEN = (
    update(schema.node)
    .where(
        schema.node.c.name == bindparam("node"),
        schema.node.c.last_seen_at < bindparam("seen_at"),
    )
    .values(last_seen_at=bindparam("seen_at"))
)


class _Answered(NamedTuple):
    """The newest exchange of a node."""

    request: bytes
    decided: int
    at: float
    answer: bytes


class UnchangedExchanges:
    """The newest answer to each node. Threads may share it."""

    def __init__(self, database: Database, decisions: Decisions, node_call_ms: int) -> None:
        """Remember answers.

        Args:
            database: where the times of calls are written.
            decisions: end an answer.
            node_call_ms: how long a node waits between two calls.
        """
        self.node_call_ms = node_call_ms
        self._database = database
        self._decisions = decisions
        self._write_seconds = min(WRITE_SECONDS, node_call_ms / 2_000)
        self._lock = threading.Lock()
        self._answered: dict[str, _Answered] = {}
        self._seen: dict[str, int] = {}
        self._written_at = time.monotonic()

    def begin(self) -> int:
        """Return what `keep` takes, before anything is read for an answer."""
        return self._decisions.read()

    def find(self, node: str, request: hub_pb2.ExchangeRequest) -> hub_pb2.ExchangeResponse | None:
        """Return the answer to a node that reports the same again; None if it has to be made."""
        known = self._answered.get(node)
        if known is None or time.monotonic() - known.at >= KEPT_SECONDS:
            return None
        if known.decided != self._decisions.read() or known.request != _encode(request):
            return None
        self._note(node)
        answer: hub_pb2.ExchangeResponse = hub_pb2.ExchangeResponse.FromString(known.answer)
        return answer

    def keep(
        self,
        node: str,
        request: hub_pb2.ExchangeRequest,
        answer: hub_pb2.ExchangeResponse,
        begun: int,
    ) -> None:
        """Remember an answer that brings the node nothing new.

        Args:
            node: its name.
            request: what it sent.
            answer: what it gets.
            begun: what `begin` returned before.
        """
        is_new = answer.metadata or answer.wanted_metadata or answer.watermarks
        kept = (
            None
            if is_new
            else _Answered(_encode(request), begun, time.monotonic(), answer.SerializeToString())
        )
        with self._lock:
            if kept is None:
                self._answered.pop(node, None)
                return
            if len(self._answered) >= _NODES:
                self._answered.clear()
            self._answered[node] = kept

    def _note(self, node: str) -> None:
        """Note that a node has called, and write the times of many if it is time to."""
        with self._lock:
            self._seen[node] = now_ms()
            if time.monotonic() - self._written_at < self._write_seconds:
                return
            seen, self._seen = self._seen, {}
            self._written_at = time.monotonic()
        rows = [{"node": name, "seen_at": at} for name, at in sorted(seen.items())]
        with self._database.write() as connection:
            connection.execute(_SEEN, rows)


def _encode(request: hub_pb2.ExchangeRequest) -> bytes:
    return bytes(request.SerializeToString(deterministic=True))
