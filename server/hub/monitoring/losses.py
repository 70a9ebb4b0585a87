"""Error of predictions against labels: each pair is counted once, by version and day.

A pair is counted in `loss` in the transaction that brings the later of the two, which also marks
the prediction as joined: a hub that is killed has counted the pair and marked it, or neither. A
pair whose error is not finite, or too large for a sum, is marked and left out.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple

import structlog
from sqlalchemy import ColumnElement, Connection, Row, and_, cast, func, select, update

from gnomon.server.hub.store.clock import DAY_MS, now_ms
from gnomon.server.hub.store.dialect import BATCH, insert_into
from gnomon.server.hub.store.limits import MAXIMUM_VALUE
from gnomon.server.hub.store.schema import label, loss, prediction, version

_log = structlog.get_logger(__name__)

_MAXIMUM_ERROR = 2.0 * MAXIMUM_VALUE

# What is left of a sum is lost to rounding below this part of what was taken out of it.
_LOST = 1e-6


@dataclass(frozen=True, slots=True)
class Losses:
    """Sums over pairs of a prediction and its label; all errors in the label's unit."""

    count: int = 0
    error: float = 0.0  # sum of (prediction - label)
    absolute_error: float = 0.0  # sum
    squared_error: float = 0.0  # sum

    @property
    def mean_absolute_error(self) -> float | None:
        """The mean absolute error, or nothing if there are no pairs or the sum is not finite."""
        return self._mean(self.absolute_error)

    @property
    def mean_error(self) -> float | None:
        """The mean signed error, positive if predictions are too high."""
        return self._mean(self.error)

    @property
    def mean_squared_error(self) -> float | None:
        """The mean squared error."""
        return self._mean(self.squared_error)

    def to_dict(self) -> dict[str, Any]:
        """Return the means as plain values."""
        return {
            "count": self.count,
            "mean_absolute_error": self.mean_absolute_error,
            "mean_error": self.mean_error,
            "mean_squared_error": self.mean_squared_error,
        }

    def _mean(self, total: float) -> float | None:
        return total / self.count if self.count and math.isfinite(total) else None

    def __sub__(self, other: "Losses") -> "Losses":
        """Return the sums without the other's."""
        return Losses(
            self.count - other.count,
            self.error - other.error,
            self.absolute_error - other.absolute_error,
            self.squared_error - other.squared_error,
        )

    def __add__(self, other: "Losses") -> "Losses":
        """Return the sums over both."""
        return Losses(
            self.count + other.count,
            self.error + other.error,
            self.absolute_error + other.absolute_error,
            self.squared_error + other.squared_error,
        )


_PARTS = tuple(part.name for part in fields(Losses))


class _Key(NamedTuple):
    """One row of `loss`."""

    digest: str
    node: str
    day: int
    rollout: str
    step: int


def join(connection: Connection, model: str, request_ids: Sequence[str]) -> int:
    """Count the pairs of these requests that are complete and not yet counted; return how many.

    Pairs that are left out, since their error is out of bounds, are logged and not in the number.
    """
    pairs = 0
    for start in range(0, len(request_ids), BATCH):
        chosen = prediction.c.request_id.in_(request_ids[start : start + BATCH])
        pairs += _count(connection, model, _complete(connection, model, chosen))
    return pairs


def correct(connection: Connection, model: str, before: Mapping[str, float]) -> None:
    """Replace the errors of pairs that are counted and whose labels were corrected.

    Args:
        connection: of the transaction in which the labels got their new values.
        model: of the labels.
        before: request → the value by which its pairs were counted.
    """
    request_ids = list(before)
    for start in range(0, len(request_ids), BATCH):
        chosen = prediction.c.request_id.in_(request_ids[start : start + BATCH])
        sums: dict[_Key, Losses] = defaultdict(Losses)
        removed: dict[_Key, float] = defaultdict(float)
        for row in _complete(connection, model, chosen, joined=True):
            key, old = _key(row), _loss(row.value - before[row.request_id])
            sums[key] += _loss(row.value - row.truth) - old
            removed[key] += old.squared_error
        _add(connection, model, sums)
        for key, amount in removed.items():
            _recount_if_cancelled(connection, model, key, amount)


def _recount_if_cancelled(connection: Connection, model: str, key: _Key, removed: float) -> None:
    """Sum up a row of `loss` again if so large an error was taken out that little else is left."""
    own = and_(*(loss.c[name] == value for name, value in key._asdict().items()))
    left = connection.scalar(select(loss.c.squared_error).where(own))
    if left is None or left > _LOST * removed:
        return
    counted = and_(
        prediction.c.digest == key.digest,
        prediction.c.node == key.node,
        prediction.c.rollout == key.rollout,
        prediction.c.step == key.step,
        prediction.c.at >= key.day,
        prediction.c.at < key.day + DAY_MS,
    )
    rows = _complete(connection, model, counted, joined=True)
    total = sum((_loss(row.value - row.truth) for row in rows), Losses())
    connection.execute(update(loss).where(own).values(**asdict(total)))


def _key(row: Row[Any]) -> _Key:
    return _Key(row.digest, row.node, row.at // DAY_MS * DAY_MS, row.rollout, row.step)


def _loss(error: float) -> Losses:
    return Losses(1, error, abs(error), error * error) if is_countable(error) else Losses()


def _complete(
    connection: Connection, model: str, chosen: ColumnElement[bool], *, joined: bool = False
) -> Sequence[Row[Any]]:
    together = and_(
        label.c.model == prediction.c.model, label.c.request_id == prediction.c.request_id
    )
    return connection.execute(
        select(prediction, label.c.value.label("truth"))
        .join(label, together)
        .where(prediction.c.model == model, chosen, prediction.c.joined.is_(joined))
    ).all()


def _count(connection: Connection, model: str, rows: Sequence[Row[Any]]) -> int:
    sums: dict[_Key, Losses] = defaultdict(Losses)
    left_out = []
    for row in rows:
        error = row.value - row.truth
        if not is_countable(error):
            left_out.append(row.request_id)
            continue
        sums[_key(row)] += _loss(error)
    _add(connection, model, sums)
    positions = [row.position for row in rows]
    for start in range(0, len(positions), BATCH):
        connection.execute(
            update(prediction)
            .where(prediction.c.position.in_(positions[start : start + BATCH]))
            .values(joined=True)
        )
    if left_out:
        _log.warning(
            "pairs_left_out",
            model=model,
            pairs=len(left_out),
            request_id=left_out[0],
            reason=f"the error is not finite or above {_MAXIMUM_ERROR:g}",
        )
    return len(rows) - len(left_out)


def is_countable(error: float) -> bool:
    """Return whether an error is finite and small enough to be summed up; NaN is not."""
    return abs(error) <= _MAXIMUM_ERROR


def _add(connection: Connection, model: str, sums: Mapping[_Key, Losses]) -> None:
    if not sums:
        return
    digests = {key.digest for key in sums}
    named = connection.execute(
        select(version.c.digest, version.c.version).where(version.c.digest.in_(digests))
    )
    versions = {row.digest: row.version for row in named}
    common = {"model": model, "updated_at": now_ms()}
    values = [
        common | key._asdict() | asdict(one) | {"version": versions.get(key.digest, "")}
        for key, one in sums.items()
    ]
    fresh = insert_into(connection, loss)
    added = {name: loss.c[name] + fresh.excluded[name] for name in _PARTS}
    connection.execute(
        fresh.on_conflict_do_update(
            index_elements=[loss.c[name] for name in _Key._fields],
            set_=added | {"updated_at": fresh.excluded.updated_at},
        ),
        values,
    )


# PostgreSQL's sums of integers are decimals.
_SUMS = tuple(cast(func.sum(loss.c[name]), loss.c[name].type).label(name) for name in _PARTS)


def by_version(connection: Connection, *conditions: ColumnElement[bool]) -> dict[str, Losses]:
    """Return the sums of each version under conditions on the table `loss`."""
    rows = connection.execute(
        select(loss.c.version, *_SUMS).where(*conditions).group_by(loss.c.version)
    )
    return {row.version: Losses(*row[1:]) for row in rows}


def by_node(
    connection: Connection, *conditions: ColumnElement[bool]
) -> dict[tuple[str, str], Losses]:
    """Return the sums of each version and node under conditions on the table `loss`."""
    rows = connection.execute(
        select(loss.c.version, loss.c.node, *_SUMS)
        .where(*conditions)
        .group_by(loss.c.version, loss.c.node)
    )
    return {(row.version, row.node): Losses(*row[2:]) for row in rows}


def by_day(connection: Connection, model: str) -> dict[str, dict[int, Losses]]:
    """Return the sums by version and by day (its start, Unix milliseconds), days in order."""
    rows = connection.execute(
        select(loss.c.version, loss.c.day, *_SUMS)
        .where(loss.c.model == model)
        .group_by(loss.c.version, loss.c.day)
        .order_by(loss.c.version, loss.c.day)
    )
    series: dict[str, dict[int, Losses]] = defaultdict(dict)
    for row in rows:
        series[row.version][row.day] = Losses(*row[2:])
    return dict(series)
