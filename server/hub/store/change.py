"""A change: what somebody decided, and the audit record that says so, in one transaction."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, CursorResult, Executable

from gnomon.server.hub.store import audit


class Change:
    """One open transaction of one actor."""

    def __init__(self, connection: Connection, actor: str) -> None:
        self.connection = connection
        self.actor = actor
        self._written = False
        self._audited = False

    def execute(
        self,
        statement: Executable,
        parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    ) -> CursorResult[Any]:
        """Execute a statement within the change."""
        self._written |= not statement.is_select
        return self.connection.execute(statement, parameters)

    def audit(self, action: str, subject: str, detail: Mapping[str, Any] | None = None) -> None:
        """Append to the audit chain: the actor did `action` to `subject`."""
        audit.append(self.connection, self.actor, action, subject, detail or {})
        self._audited = True

    def finish(self) -> None:
        """Refuse to commit what was written without a record.

        Raises:
            RuntimeError: where something was written and nothing audited.
        """
        if self._written and not self._audited:
            raise RuntimeError(f"a change by {self.actor!r} has no audit record")
