"""A change: what somebody decided, and the audit record that says so, in one transaction.

The audit record is also where rights are asked for: what may not be recorded does not commit. So
there is one place for it beneath REST, gRPC and command line, and none can forget it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, CursorResult, Executable

from gnomon.server.hub.store import audit
from gnomon.server.hub.store.rights import Actor


class Change:
    """One open transaction of one actor; a plain name is one of the hub's own parts."""

    def __init__(self, connection: Connection, actor: Actor | str) -> None:
        self.connection = connection
        self.actor = str(actor)
        self._rights = actor if isinstance(actor, Actor) else None
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

    def check(self, action: str, model: str | None = None, environment: str | None = None) -> None:
        """Refuse what the actor may not do.

        Raises:
            NotAllowed: naming the actor, the action, and who may.
        """
        if self._rights is not None:
            self._rights.check(action, model, environment)

    def audit(
        self,
        action: str,
        subject: str,
        detail: Mapping[str, Any] | None = None,
        *,
        model: str | None = None,
        environment: str | None = None,
    ) -> None:
        """Append to the audit chain: the actor did `action` to `subject`.

        Args:
            action: a name in the table of rights.
            subject: what it was done to.
            detail: more of it, for people; anything JSON can hold.
            model: which model it is about, None for none.
            environment: which environment it is about, None for none.

        Raises:
            NotAllowed: if the actor may not, with that model and environment.
        """
        self.check(action, model, environment)
        audit.append(self.connection, self.actor, action, subject, detail or {})
        self._audited = True

    def finish(self) -> None:
        """Refuse to commit what was written without a record.

        Raises:
            RuntimeError: if something was written and nothing audited.
        """
        if self._written and not self._audited:
            raise RuntimeError(f"a change by {self.actor!r} has no audit record")
