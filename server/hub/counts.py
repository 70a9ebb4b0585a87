"""Counts from the windows: what was asked for, and what became of it. Exact, not sampled."""

from typing import Any

from sqlalchemy import Connection, select

from gnomon.server.hub.store import schema

#: Rows of windows that the hub could not look into.
UNREAD = "unread"


def by_outcome(connection: Connection, model: str | None) -> list[dict[str, Any]]:
    """Sum rows by model, version, node, shadow and outcome."""
    columns = schema.window.c
    wanted = select(
        columns.model, columns.version, columns.node, columns.shadow, columns.rows, columns.outcomes
    )
    if model is not None:
        wanted = wanted.where(columns.model == model)
    sums: dict[tuple[str, str, str, bool, str], int] = {}
    for row in connection.execution_options(yield_per=1_000).execute(wanted):
        outcomes = dict(row.outcomes)
        if not outcomes:
            outcomes = {UNREAD: row.rows}
        for outcome, rows in outcomes.items():
            key = (row.model, row.version, row.node, row.shadow, outcome)
            sums[key] = sums.get(key, 0) + rows
    names = ("model", "version", "node", "shadow", "outcome")
    return [dict(zip(names, key, strict=True)) | {"rows": sums[key]} for key in sorted(sums)]
