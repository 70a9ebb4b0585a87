"""Routes of the audit chain."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query

from gnomon.server.hub.rest.dependencies import DatabaseDependency
from gnomon.server.hub.store import audit

audit_router = APIRouter(tags=["audit"])

_Limit = Annotated[int, Query(ge=1, le=10_000)]


@audit_router.get("/audit")
def list_records(
    database: DatabaseDependency, before: int | None = None, limit: _Limit = 100
) -> list[dict[str, Any]]:
    """List who did what, newest first; `before` is the last sequence of the page above."""
    with database.read() as connection:
        return audit.listing(connection, before, limit)


@audit_router.get("/audit/verify")
def verify(database: DatabaseDependency) -> dict[str, Any]:
    """Check the whole chain."""
    with database.read() as connection:
        return asdict(audit.verify_chain(connection))
