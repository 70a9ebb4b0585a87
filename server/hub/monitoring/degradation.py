"""Detects that the error of the version in service has risen, from labels as they arrive.

The first labels of a version are the reference; each later window of labels goes to
`gnomon.core.detectors.loss.LossDetector`. An error that has risen by more than the tolerance raises
an alert: a model may become worse although the distribution of its inputs has not changed.

A prediction that reaches the hub after its own label is counted in the errors but not seen here.
"""

import contextlib

import msgspec
import numpy as np
from sqlalchemy import Connection, and_, select

from gnomon.core.detectors.alarm import Alarm
from gnomon.core.detectors.loss import LossDetector
from gnomon.core.detectors.tilt_detector import StateMismatch
from gnomon.server.hub.monitoring import alerts
from gnomon.server.hub.monitoring.losses import is_countable
from gnomon.server.hub.monitoring.progress import read_state, write_state
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.database import Database

ERROR_ROSE = "error_rose"

#: Labels by which a version's error is learnt, and labels of one window.
REFERENCE_LABELS = 500
WINDOW_LABELS = 100
#: How much more error does not matter, as a share of what was learnt.
TOLERANCE = 0.25

_KEY = "losses"
_LABELS_A_STEP = 20_000
_WINDOWS_PER_FALSE_ALARM = 1_000.0
# Losses are capped at this quantile of those learnt from: a bound needs a largest loss.
_CAP_QUANTILE = 0.99


class LossProgress(msgspec.Struct, frozen=True, kw_only=True):
    """The place in a model's labels, and the detector's state there."""

    version: str = ""
    cursor: int = 0  # `position` of the last label that was looked at
    reference: tuple[float, ...] = ()  # absolute errors that were learnt from
    waiting: tuple[float, ...] = ()  # of a window that is not full
    detector: bytes = b""


def run_once(database: Database, model: str, version: str) -> bool:
    """Show the detector the labels that came since; return whether there may be more."""
    with database.read() as connection:
        before = read_state(connection, model, _KEY)
        progress = _decode(before, version)
        cursor, losses = _new_losses(connection, model, version, progress.cursor)
    if cursor == progress.cursor:
        return False
    advanced, alarms = advance(msgspec.structs.replace(progress, cursor=cursor), losses)
    with database.write() as connection:
        if read_state(connection, model, _KEY) != before:
            return True  # another process was quicker
        write_state(connection, model, _KEY, msgspec.msgpack.encode(advanced), cursor)
        for alarm in alarms:
            alerts.raise_alert(connection, _condition(model, advanced, alarm))
    return True


def advance(progress: LossProgress, losses: tuple[float, ...]) -> tuple[LossProgress, list[Alarm]]:
    """Take losses in order of their labels; return the new progress and the alarms on the way."""
    missing = REFERENCE_LABELS - len(progress.reference)
    reference, losses = progress.reference + losses[:missing], losses[missing:]
    if len(reference) < REFERENCE_LABELS:
        return msgspec.structs.replace(progress, reference=reference), []
    detector = _detector(reference, progress.detector)
    waiting = progress.waiting + losses
    full = len(waiting) // WINDOW_LABELS * WINDOW_LABELS
    windows = (waiting[start : start + WINDOW_LABELS] for start in range(0, full, WINDOW_LABELS))
    alarms = [alarm for alarm in map(detector.update, windows) if alarm is not None]
    advanced = msgspec.structs.replace(
        progress, reference=reference, waiting=waiting[full:], detector=detector.state()
    )
    return advanced, alarms


def _detector(reference: tuple[float, ...], state: bytes) -> LossDetector:
    """Return the detector for this reference, with its stored state."""
    learnt = np.asarray(reference)
    mean = float(learnt.mean())
    # At most half of the largest loss is usual, so there is always room for harm above the limit.
    largest = max(float(np.quantile(learnt, _CAP_QUANTILE)), 2.0 * mean) or 1.0
    detector = LossDetector(
        learnt,
        windows_per_false_alarm=_WINDOWS_PER_FALSE_ALARM,
        tolerance=TOLERANCE * mean,
        scale=largest,
        name="absolute error",
    )
    if state:
        # The state of another release cannot be read: the detector starts again.
        with contextlib.suppress(StateMismatch):
            detector.restore(state)
    return detector


def _decode(data: bytes, version: str) -> LossProgress:
    progress = msgspec.msgpack.decode(data, type=LossProgress) if data else LossProgress()
    if progress.version == version:
        return progress
    return LossProgress(version=version, cursor=progress.cursor)


def _new_losses(
    connection: Connection, model: str, version: str, cursor: int
) -> tuple[int, tuple[float, ...]]:
    label, prediction, versions = schema.label.c, schema.prediction.c, schema.version.c
    positions = connection.scalars(
        select(label.position)
        .where(label.model == model, label.position > cursor)
        .order_by(label.position)
        .limit(_LABELS_A_STEP)
    ).all()
    if not positions:
        return cursor, ()
    node = schema.node.c
    elsewhere = select(node.name).where(node.environment != schema.PRODUCTION)
    digests = select(versions.digest).where(versions.name == model, versions.version == version)
    rows = connection.execute(
        select(prediction.value, label.value.label("truth"))
        .select_from(schema.label)
        .join(
            schema.prediction,
            and_(prediction.request_id == label.request_id, prediction.model == label.model),
        )
        .where(
            label.model == model,
            label.position > cursor,
            label.position <= positions[-1],
            prediction.digest.in_(digests),
            prediction.node.not_in(elsewhere),
        )
        .order_by(label.position, prediction.position)
    )
    errors = (abs(row.value - row.truth) for row in rows)
    return positions[-1], tuple(error for error in errors if is_countable(error))


def _condition(model: str, progress: LossProgress, alarm: Alarm) -> alerts.Condition:
    learnt = len(progress.reference)
    before = float(np.mean(progress.reference))
    text = (
        f"the error of {model}@{progress.version} has risen: {before + alarm.distance:.4g} mean "
        f"absolute error over {WINDOW_LABELS} labels, {before:.4g} over its first {learnt}; up to "
        f"{TOLERANCE:.0%} more is tolerated"
    )
    evidence = {
        "change": alarm.kind.value,
        "distance": alarm.distance,
        "unit": alarm.unit,
        "log_evidence": alarm.evidence,
        "log_threshold": alarm.threshold,
        "windows": alarm.since,
    }
    return alerts.Condition(model, ERROR_ROSE, "", "", progress.version, text, evidence)
