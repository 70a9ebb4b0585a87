"""What the monitor has found, for REST and the pages: distances by interval, and how far it is."""

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from gnomon.server.hub.monitoring import waiting
from gnomon.server.hub.monitoring.progress import load
from gnomon.server.hub.store import schema

_DRIFT = schema.drift.c


@dataclass(frozen=True, slots=True)
class DriftInterval:
    """How far a field of one source was from its reference in an interval; Unix milliseconds.

    `psi` is the population stability index, `chance` the index that so few rows have by chance.
    """

    started_at: int
    ended_at: int
    source: str
    field: str
    version: str
    rows: int
    psi: float
    chance: float


@dataclass(frozen=True, slots=True)
class MonitorStatus:
    """How far a model's windows were evaluated (Unix ms), and what came too late for that.

    `waiting_labels` are labels of requests of which no prediction is known.
    """

    judged_to: int | None
    late_windows: int
    late_rows: int
    waiting_labels: int


def series(
    connection: Connection,
    model: str,
    field: str | None = None,
    source: str | None = "",
    intervals: int | None = None,
) -> list[DriftInterval]:
    """Return the evaluated intervals in order, one row per field and source.

    Args:
        connection: of an open transaction; it only reads.
        model: whose windows.
        field: only this one; None: all.
        source: a node's name; empty: all together; None: each and all together.
        intervals: only this many of the last; None: all.
    """
    wanted = (
        select(
            _DRIFT.started_at,
            _DRIFT.ended_at,
            _DRIFT.source,
            _DRIFT.field,
            _DRIFT.version,
            _DRIFT.rows,
            _DRIFT.psi,
            _DRIFT.chance,
        )
        .where(_DRIFT.model == model)
        .order_by(_DRIFT.ended_at, _DRIFT.started_at, _DRIFT.field, _DRIFT.source)
    )
    if field is not None:
        wanted = wanted.where(_DRIFT.field == field)
    if source is not None:
        wanted = wanted.where(_DRIFT.source == source)
    if intervals is not None:
        last = (
            select(_DRIFT.ended_at)
            .where(_DRIFT.model == model)
            .distinct()
            .order_by(_DRIFT.ended_at.desc())
            .limit(intervals)
            .subquery()
        )
        wanted = wanted.where(
            _DRIFT.ended_at >= select(func.min(last.c.ended_at)).scalar_subquery()
        )
    return [DriftInterval(**row) for row in connection.execute(wanted).mappings()]


def status(connection: Connection, model: str) -> MonitorStatus:
    """Return how far a model's windows were evaluated, and which came too late for that.

    Late windows are in all totals; only the detectors have not seen them.
    """
    progress, _ = load(connection, model)
    return MonitorStatus(
        judged_to=progress.judged[0] if progress.judged else None,
        late_windows=progress.late_windows,
        late_rows=progress.late_rows,
        waiting_labels=waiting.count(connection, model),
    )
