"""The monitor: shows closed intervals to the detectors, each once and in order, and raises alerts.

A round reads and evaluates without a lock, and then writes, in one transaction: alerts with their
audit records, distances, and the progress with the detectors' state. If the progress has moved in
the meantime, by another hub process, nothing is written. So a hub that is killed anywhere has
evaluated an interval and raised its alerts, or has done neither.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import structlog
from sqlalchemy import Connection, func, select, tuple_

from gnomon.core.detectors.tilt_detector import StateMismatch
from gnomon.runtime.errors import InvalidInput, UnknownModel
from gnomon.server.hub import placements
from gnomon.server.hub.monitoring import alerts, degradation, task_failures, windows
from gnomon.server.hub.monitoring.evaluation import (
    ALL_MOVED,
    ROWS_REFUSED,
    SOURCE_MOVED,
    Evaluation,
    Evaluator,
)
from gnomon.server.hub.monitoring.intervals import Arrival, MonitorSettings, closed
from gnomon.server.hub.monitoring.missing_values import MISSING_EXCEEDED
from gnomon.server.hub.monitoring.progress import Interval, MonitorProgress, SourceClock, load, save
from gnomon.server.hub.monitoring.watched_fields import SourceTotals, WatchedFields
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.change import Change
from gnomon.server.hub.store.clock import now_ms
from gnomon.server.hub.store.database import Database
from gnomon.server.hub.store.dialect import insert_into
from gnomon.server.hub.store.limits import MAXIMUM_COUNT

_log = structlog.get_logger(__name__)

#: Rounds of one run: it must end, since rollouts run after it.
_ROUNDS = 8

#: Alerts against the reference of a version.
_AGAINST_REFERENCE = (
    SOURCE_MOVED,
    ALL_MOVED,
    ROWS_REFUSED,
    MISSING_EXCEEDED,
    degradation.ERROR_ROSE,
)

_WINDOW = schema.window.c
# Other environments see other data than production.
_IS_JUDGED = (
    _WINDOW.shadow.is_(False)
    & (_WINDOW.environment == schema.PRODUCTION)
    & (_WINDOW.version != "")  # unread: the package was not assigned to the node
)
DEFAULTS = MonitorSettings()


@dataclass(frozen=True, slots=True)
class _Pending:
    """What a round has found and wants to write."""

    before: bytes
    progress: MonitorProgress
    evaluations: list[Evaluation]
    restarted: bool
    more: bool


def run_once(database: Database, settings: MonitorSettings = DEFAULTS) -> None:
    """Evaluate what has become ready since the last time, for every model."""
    with database.read() as connection:
        models = placements.of_environment(connection, schema.PRODUCTION)
    for model, version in models.items():
        try:
            _evaluate_model(database, model, version, settings)
        except Exception as error:
            # One model's state or windows must not stop the evaluation of all behind it.
            task_failures.report(database, model, "evaluation", error)


def _evaluate_model(
    database: Database, model: str, version: str, settings: MonitorSettings
) -> None:
    for _ in range(_ROUNDS):
        if not _round(database, model, settings):
            break
    for _ in range(_ROUNDS):
        if not degradation.run_once(database, model, version):
            break


def _round(database: Database, model: str, settings: MonitorSettings) -> bool:
    """Take one round; return whether another may find more."""
    with database.read() as connection:
        pending = _evaluate(connection, model, settings)
    if pending is None:
        return False
    with database.write() as connection:
        if load(connection, model)[1] != pending.before:
            return True  # another process was quicker; start again from its progress
        _write(connection, model, pending)
    return pending.more


def _evaluate(connection: Connection, model: str, settings: MonitorSettings) -> _Pending | None:
    progress, before = load(connection, model)
    advanced = _evaluate_new(connection, model, progress, settings)
    ready = closed(_arrivals(connection, model, progress), advanced.sources, now_ms(), settings)
    ready_now = ready[: settings.intervals_a_transaction]
    if not ready_now:
        return None if advanced == progress else _Pending(before, advanced, [], False, False)
    digest, version = _in_service(connection, model)
    fields = WatchedFields(windows.profile_of(connection, digest))
    evaluator, restarted = _evaluator(model, version, fields, settings, progress)
    totals = _totals(connection, model, ready_now, fields, version)
    evaluations = [evaluator.evaluate(interval, totals[interval]) for interval in ready_now]
    advanced = msgspec.structs.replace(
        advanced,
        judged=ready_now[-1],
        references=fields.fingerprint,
        version=version,
        detectors=evaluator.state(),
    )
    return _Pending(before, advanced, evaluations, restarted, len(ready_now) < len(ready))


def _evaluate_new(
    connection: Connection, model: str, progress: MonitorProgress, settings: MonitorSettings
) -> MonitorProgress:
    """Take note of the windows that came since: who sent them, and which were too late."""
    rows = connection.execute(
        select(
            _WINDOW.position,
            _WINDOW.node,
            _WINDOW.started_at,
            _WINDOW.ended_at,
            _WINDOW.rows,
            _WINDOW.received_at,
        )
        .where(
            _WINDOW.model == model,
            _WINDOW.position > progress.cursor,
            _IS_JUDGED,
        )
        .order_by(_WINDOW.position)
    ).all()
    if not rows:
        return progress
    judged = progress.judged
    late = [row for row in rows if judged is not None and (row.ended_at, row.started_at) <= judged]
    oldest = now_ms() - settings.active_ms
    sources = {name: one for name, one in progress.sources.items() if one.received_at >= oldest}
    for row in rows:
        known = sources.get(row.node)
        latest = row.started_at if known is None else max(known.latest_start, row.started_at)
        sources[row.node] = SourceClock(latest, row.received_at)
    return msgspec.structs.replace(
        progress,
        cursor=rows[-1].position,
        late_windows=min(progress.late_windows + len(late), MAXIMUM_COUNT),
        late_rows=min(progress.late_rows + sum(row.rows for row in late), MAXIMUM_COUNT),
        sources=sources,
    )


def _arrivals(connection: Connection, model: str, progress: MonitorProgress) -> list[Arrival]:
    wanted = (
        select(
            _WINDOW.ended_at,
            _WINDOW.started_at,
            func.min(_WINDOW.received_at),
            func.max(_WINDOW.received_at),
        )
        .where(_WINDOW.model == model, _IS_JUDGED)
        .group_by(_WINDOW.ended_at, _WINDOW.started_at)
    )
    if progress.judged is not None:
        wanted = wanted.where(_WINDOW.ended_at >= progress.judged[0])
    rows = connection.execute(wanted)
    return [
        Arrival((end, start), first_at, received_at)
        for end, start, first_at, received_at in rows
        if progress.judged is None or (end, start) > progress.judged
    ]


def _in_service(connection: Connection, model: str) -> tuple[str, str]:
    """Return digest and version of the package whose profile is the reference."""
    package = schema.version.c
    version = placements.version_in_service(connection, model, schema.PRODUCTION)
    digest: str = connection.execute(
        select(package.digest)
        .where(package.name == model, package.version == version)
        .order_by(package.format)
        .limit(1)
    ).scalar_one()
    return digest, version or ""


def _evaluator(
    model: str,
    version: str,
    fields: WatchedFields,
    settings: MonitorSettings,
    progress: MonitorProgress,
) -> tuple[Evaluator, bool]:
    """Return the evaluator with its stored state, or a new one if the reference has changed."""
    evaluator = Evaluator(model, version, fields, settings)
    if progress.references != fields.fingerprint:
        return evaluator, bool(progress.references)
    try:
        evaluator.restore(progress.detectors)
    except StateMismatch as error:
        # The state of another release cannot be read: only the detectors start again.
        _log.warning("detectors_restarted", model=model, reason=str(error))
        return Evaluator(model, version, fields, settings), False
    return evaluator, False


def _totals(
    connection: Connection,
    model: str,
    intervals: Sequence[Interval],
    fields: WatchedFields,
    version: str,
) -> dict[Interval, dict[str, SourceTotals]]:
    """Return what each source counted in each interval; its partial windows are added up."""
    rows = connection.execute(
        select(
            _WINDOW.node,
            _WINDOW.digest,
            _WINDOW.version,
            _WINDOW.ended_at,
            _WINDOW.started_at,
            _WINDOW.data,
        ).where(
            _WINDOW.model == model,
            _IS_JUDGED,
            tuple_(_WINDOW.ended_at, _WINDOW.started_at).in_(intervals),
        )
    )
    found: dict[Interval, dict[str, SourceTotals]] = {interval: {} for interval in intervals}
    for row in rows:
        try:
            window = windows.read(connection, row.digest, row.data)
        except (UnknownModel, InvalidInput):
            continue  # counted as unread in the totals, which people see
        profile = windows.profile_of(connection, row.digest)
        sources = found[row.ended_at, row.started_at]
        mine = sources.setdefault(row.node, fields.empty())
        mine.add(fields.totals_of(window, profile, row.version == version))
    return found


def _write(connection: Connection, model: str, pending: _Pending) -> None:
    save(connection, model, pending.progress)
    if pending.restarted:
        _close_alerts(connection, model, pending.progress.version)
    rows = [row for evaluation in pending.evaluations for row in evaluation.distances]
    if rows:
        connection.execute(insert_into(connection, schema.drift).on_conflict_do_nothing(), rows)
    for evaluation in pending.evaluations:
        for condition in evaluation.conditions:
            alerts.raise_alert(connection, condition)


def _close_alerts(connection: Connection, model: str, version: str) -> None:
    """Close what was found against the reference of the version before."""
    change = Change(connection, alerts.MONITOR)
    for alert in alerts.find(connection, model=model, open_only=True, limit=1_000):
        if alert.kind in _AGAINST_REFERENCE:
            alerts.close(change, alert.id, f"evaluated again, against {model}@{version}")
