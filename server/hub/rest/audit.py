"""Routes of the audit chain."""

from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from gnomon.runtime.audit_chain import ChainVerdict
from gnomon.server.hub.rest.dependencies import DatabaseDependency
from gnomon.server.hub.store import audit
from gnomon.server.hub.store.limits import Position

audit_router = APIRouter(tags=["audit"])

_Limit = Annotated[int, Query(ge=1, le=10_000)]


@audit_router.get("/audit")
def list_records(
    database: DatabaseDependency, before: Position | None = None, limit: _Limit = 100
) -> list[audit.AuditRecord]:
    """List who did what, newest first; `before` is the last sequence of the page above."""
    with database.read() as connection:
        return audit.listing(connection, before, limit)


@audit_router.get("/audit/export", response_class=StreamingResponse)
def export(database: DatabaseDependency) -> StreamingResponse:
    """Send the whole chain as lines of JSON, to be kept and verified elsewhere."""

    def lines() -> Iterator[str]:
        with database.read() as connection:
            yield from audit.export(connection)

    return StreamingResponse(lines(), media_type="application/x-ndjson")


@audit_router.get("/audit/verify")
def verify(database: DatabaseDependency, last: str | None = None) -> ChainVerdict:
    """Check the whole chain; `last`: a record's hash that was noted before and should be there."""
    with database.read() as connection:
        return audit.verify_chain(connection, last)
