"""History: what was in service on a day, and a version's lineage from data to nodes."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from sqlalchemy import ColumnElement, Connection, Select, Table, cast, func, or_, select

from gnomon.runtime.errors import InvalidInput
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.clock import DAY_MS, now_ms
from gnomon.server.hub.store.dialect import BATCH
from gnomon.server.hub.versions import aliases, runs, tags
from gnomon.server.hub.versions.history_records import (
    CountedByNode,
    CountedByVersion,
    DatasetUse,
    EnteredStep,
    Lineage,
    ModelHistory,
    NodeUse,
    PackageSummary,
    PlacedVersion,
    RolloutSpan,
    RolloutSummary,
    ServicePeriod,
)

_DATE_CHARACTERS = len("2026-03-01")
_RELATED = 100

#: The model and the environment to select; None: all.
_Where = tuple[str | None, str | None]

_PLACED = ("environment", "version", "started_at", "ended_at", "actor")
_ROLLED_OUT = ("environment", "id", "champion", "candidate", "state", "created_at", "ended_at")

_DAILY = schema.daily.c
_PLACEMENT = schema.placement.c
_ROLLOUT = schema.rollout.c
_STEP = schema.rollout_step.c
_TALLY = schema.tally.c
_VERSION = schema.version.c


@dataclass(frozen=True)
class Span:
    """A span of time, Unix milliseconds: from `start`, before `end`."""

    start: int
    end: int

    @classmethod
    def parse(cls, when: str) -> Self:
        """Return the day or the instant that ISO 8601 names; without a zone, in UTC.

        Raises:
            InvalidInput: if it is malformed or in the future.
        """
        try:
            moment = datetime.fromisoformat(when)
        except ValueError as error:
            raise InvalidInput(
                f"{when[:80]!r} is no time; expected one such as 2026-03-01 or 2026-03-01T12:00Z"
            ) from error
        moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        start = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
        if start > now_ms():
            raise InvalidInput(f"{when!r} is in the future; give a time that has passed")
        return cls(start, start + (DAY_MS if len(when) == _DATE_CHARACTERS else 1))

    def meets(
        self, started_at: ColumnElement[int], ended_at: ColumnElement[int]
    ) -> ColumnElement[bool]:
        """Whether something was so at any time of the span."""
        return (started_at < self.end) & or_(ended_at.is_(None), ended_at > self.start)


def ran_at(
    connection: Connection, span: Span, model: str | None, environment: str | None = None
) -> list[ModelHistory]:
    """Return by model what was in service and rolled out in a span, and what nodes counted.

    Without an environment, all of them. Counts are by version with the number of nodes; of one
    model by node; by the environment of the node at upload. Placements and rollouts use the
    hub's clock; counts use the data's own time, in whole days.

    Args:
        connection: of an open transaction; it only reads.
        span: from when to when.
        model: one model; None: all.
        environment: one environment; None: all.
    """
    where = (model, environment)
    found: dict[str, ModelHistory] = {}

    def state_of(name: str) -> ModelHistory:
        return found.setdefault(name, ModelHistory(name, [], [], []))

    for row in _met(connection, schema.placement, _PLACEMENT.started_at, span, where):
        entry = PlacedVersion(**{name: row[name] for name in _PLACED})
        state_of(row["model"]).placements.append(entry)
    rollouts = _met(connection, schema.rollout, _ROLLOUT.created_at, span, where)
    steps = _steps(connection, span, [row["id"] for row in rollouts])
    for row in rollouts:
        kept = {name: row[name] for name in _ROLLED_OUT}
        rollout = RolloutSpan(**kept, steps=steps.get(row["id"], []))
        state_of(row["model"]).rollouts.append(rollout)
    counted: dict[str, list[Any]] = defaultdict(list)
    for name, one in _counted(connection, span, where):
        counted[name].append(one)
    for name, rows in counted.items():
        found[name] = replace(state_of(name), counted=rows)
    return [found[name] for name in sorted(found)]


def _met(
    connection: Connection,
    table: Table,
    started_at: ColumnElement[int],
    span: Span,
    where: _Where,
) -> Sequence[Any]:
    wanted = select(table).where(span.meets(started_at, table.c.ended_at)).order_by(started_at)
    return connection.execute(_only(wanted, table, where)).mappings().all()


def _only(wanted: Select[Any], table: Table, where: _Where) -> Select[Any]:
    for column, value in zip((table.c.model, table.c.environment), where, strict=True):
        if value is not None:
            wanted = wanted.where(column == value)
    return wanted


def _steps(
    connection: Connection, span: Span, rollouts: Sequence[str]
) -> dict[str, list[EnteredStep]]:
    found: dict[str, list[EnteredStep]] = defaultdict(list)
    for start in range(0, len(rollouts), BATCH):
        rows = connection.execute(
            select(_STEP.rollout, _STEP.position, _STEP.weight, _STEP.entered_at, _STEP.left_at)
            .where(
                _STEP.rollout.in_(rollouts[start : start + BATCH]),
                span.meets(_STEP.entered_at, _STEP.left_at),
            )
            .order_by(_STEP.rollout, _STEP.position)
        ).mappings()
        for row in rows:
            entered = {name: value for name, value in row.items() if name != "rollout"}
            found[row["rollout"]].append(EnteredStep(**entered))
    return found


def _counted(
    connection: Connection, span: Span, where: _Where
) -> Iterator[tuple[str, CountedByVersion | CountedByNode]]:
    """Yield each model with its rows by version and environment; of one model also by node."""
    model, _ = where
    key = [_DAILY.model, _DAILY.environment, _DAILY.version, _DAILY.shadow]
    if model is not None:
        key.append(_DAILY.node)
    rows = cast(func.sum(_DAILY.rows), _DAILY.rows.type).label("rows")
    figures = (
        [rows] if model is not None else [rows, func.count(_DAILY.node.distinct()).label("nodes")]
    )
    wanted = (
        select(*key, *figures)
        .where(_DAILY.day >= span.start // DAY_MS * DAY_MS, _DAILY.day < span.end)
        .group_by(*key)
        .order_by(*key)
    )
    rows_found = connection.execute(_only(wanted, schema.daily, where)).mappings()
    kind = CountedByVersion if model is None else CountedByNode
    for row in rows_found:
        yield row["model"], kind(**{name: row[name] for name in row if name != "model"})


def lineage(connection: Connection, model: str, version: str) -> Lineage:
    """Return where a version came from and where it went: dataset, run, packages, rollouts, nodes.

    Raises:
        UnknownModel: if there is no such version.
    """
    aliases.check_version(connection, model, version)
    packages = connection.execute(
        select(
            _VERSION.format,
            _VERSION.digest,
            _VERSION.published_at,
            _VERSION.publisher,
            _VERSION.dataset,
            _VERSION.manifest,
        )
        .where(_VERSION.name == model, _VERSION.version == version)
        .order_by(_VERSION.format)
    ).all()
    run = packages[0].manifest.get("reproducibility", {})
    pair = (model, version)
    kept = ("format", "digest", "published_at", "publisher")
    return Lineage(
        model=model,
        version=version,
        aliases=aliases.of_versions(connection, [pair]).get(pair, []),
        tags=tags.of_versions(connection, [pair]).get(pair, {}),
        dataset=DatasetUse(
            fingerprint=packages[0].dataset,
            uri=run.get("dataset_uri"),
            others=_siblings(connection, packages[0].dataset, pair),
        ),
        run=run,
        runs=runs.that_made(connection, [row.digest for row in packages]),
        packages=[PackageSummary(*(row._mapping[name] for name in kept)) for row in packages],
        placements=_placements(connection, pair),
        rollouts=_rollouts(connection, pair),
        nodes=_nodes(connection, pair, {row.digest for row in packages}),
    )


def _siblings(connection: Connection, dataset: str, pair: tuple[str, str]) -> list[str]:
    """Name other versions that were made from the same data."""
    if not dataset:
        return []
    rows = connection.execute(
        select(_VERSION.name, _VERSION.version)
        .where(_VERSION.dataset == dataset)
        .distinct()
        .order_by(_VERSION.name, _VERSION.version)
        .limit(_RELATED)
    ).all()
    return [f"{row.name}@{row.version}" for row in rows if (row.name, row.version) != pair]


def _placements(connection: Connection, pair: tuple[str, str]) -> list[ServicePeriod]:
    rows = connection.execute(
        select(_PLACEMENT.environment, _PLACEMENT.started_at, _PLACEMENT.ended_at, _PLACEMENT.actor)
        .where(_PLACEMENT.model == pair[0], _PLACEMENT.version == pair[1])
        .order_by(_PLACEMENT.started_at)
    )
    return [ServicePeriod(**row) for row in rows.mappings()]


def _rollouts(connection: Connection, pair: tuple[str, str]) -> list[RolloutSummary]:
    kept = (
        _ROLLOUT.environment,
        _ROLLOUT.id,
        _ROLLOUT.champion,
        _ROLLOUT.candidate,
        _ROLLOUT.state,
        _ROLLOUT.created_at,
        _ROLLOUT.ended_at,
        _ROLLOUT.reason,
    )
    rows = connection.execute(
        select(*kept)
        .where(
            _ROLLOUT.model == pair[0],
            or_(_ROLLOUT.candidate == pair[1], _ROLLOUT.champion == pair[1]),
        )
        .order_by(_ROLLOUT.id)
    )
    return [RolloutSummary(**row) for row in rows.mappings()]


def _nodes(connection: Connection, pair: tuple[str, str], digests: set[str]) -> list[NodeUse]:
    """Return the nodes that counted rows of a version, and those that have it installed now."""
    rows = connection.execute(
        select(_TALLY.node, cast(func.sum(_TALLY.rows), _TALLY.rows.type).label("rows"))
        .where(_TALLY.model == pair[0], _TALLY.version == pair[1])
        .group_by(_TALLY.node)
    )
    counted: dict[str, int] = {row.node: row.rows for row in rows}
    installed = {
        row.name
        for row in connection.execute(select(schema.node.c.name, schema.node.c.digests))
        if digests.intersection(row.digests)
    }
    return [
        NodeUse(node=name, rows=counted.get(name, 0), installed=name in installed)
        for name in sorted(counted.keys() | installed)
    ]
