"""A change: one transaction that commits with its audit record.

Rights are checked when the audit record is written: a change that may not be recorded does not
commit. So REST, gRPC and the command line share one check, which none of them can omit.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, CursorResult, Executable

from gnomon.server.hub.store import audit
from gnomon.server.hub.store.rights import Actor


class Change:
    """One open transaction of one actor; a plain name is an internal part of the hub."""

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
        """Check that the actor may do something.

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
        """Check that what was written has an audit record.

        Raises:
            RuntimeError: if something was written and nothing audited.
        """
        if self._written and not self._audited:
            raise RuntimeError(f"a change by {self.actor!r} has no audit record")
