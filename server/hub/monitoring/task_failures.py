"""Alerts about what the hub itself could not do for one model, so that it can go on with others."""

import structlog
from sqlalchemy import select

from gnomon.server.hub.monitoring import alerts
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.clock import new_id
from gnomon.server.hub.store.database import Database

_log = structlog.get_logger(__name__)


def report(database: Database, model: str, task: str, error: Exception) -> None:
    """Log an unexpected error at each failure, and raise one alert while it lasts.

    The error's text stays in the log, as it may hold anything.

    Args:
        database: where the alert is stored.
        model: the model that is skipped.
        task: what failed: `evaluation` or `rollout`; the alert's kind is `<task>_failed`.
        error: what it failed with.
    """
    reference = new_id()
    _log.error(f"{task}_failed", model=model, reference=reference, exc_info=error)
    text = f"the {task} of {model} failed and is tried again; the hub's log has the error under "
    condition = alerts.Condition(model, f"{task}_failed", "", "", "", text + reference)
    raise_once(database, condition)


def raise_once(database: Database, condition: alerts.Condition) -> None:
    """Raise an alert, unless one of the condition is open: nothing is written at each tick."""
    with database.read() as connection:
        is_open = connection.scalar(
            select(schema.alert.c.id).where(
                schema.alert.c.key == condition.key, schema.alert.c.closed_at.is_(None)
            )
        )
    if is_open is None:
        with database.write() as connection:
            alerts.raise_alert(connection, condition)
