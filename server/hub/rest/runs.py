"""Routes of runs: builders record them, people look at them."""

from typing import Annotated

from fastapi import APIRouter, Query

from gnomon.server.hub.rest.dependencies import ActorDependency, DatabaseDependency
from gnomon.server.hub.versions import runs

runs_router = APIRouter(tags=["registry"])

_Limit = Annotated[int, Query(ge=1, le=1_000)]


@runs_router.post("/runs", status_code=201)
def record_run(
    body: runs.RunRecord, database: DatabaseDependency, actor: ActorDependency
) -> runs.RunReceipt:
    """Record a run of a build that has ended; to record it again changes nothing."""
    with database.change(actor) as change:
        return runs.record_run(change, body)


@runs_router.get("/runs")
def list_runs(
    database: DatabaseDependency,
    pipeline: str | None = None,
    state: str | None = None,
    before: str | None = None,
    limit: _Limit = 50,
) -> list[runs.RunSummary]:
    """List runs, newest first; `before` is the id where the page before ended."""
    with database.read() as connection:
        return runs.find(connection, pipeline, state, before, limit)


@runs_router.get("/runs/{run}")
def get_run(run: str, database: DatabaseDependency) -> runs.RecordedRun:
    """Return all that is known of a run: steps, parameters, metrics, datasets, environment, log."""
    with database.read() as connection:
        return runs.get(connection, run)
