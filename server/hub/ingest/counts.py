"""Counts of requests by outcome; exact, not sampled.

They are added up in the transaction that stores the windows. So the cost to read them does not grow
with the number of windows, and they never differ from the windows' sums.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, Executable, Select, Table, case, select, union

from gnomon.server.hub import placements
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.clock import DAY_MS
from gnomon.server.hub.store.dialect import insert_into
from gnomon.server.hub.store.limits import MAXIMUM_COUNT

#: The outcome of rows whose windows the hub could not look into: it does not have the package.
UNREAD = "unread"

_TALLY = schema.tally.c
_KEY = ("model", "version", "node", "shadow", "outcome")
_COUNTED = (*(_TALLY[name] for name in _KEY), _TALLY.rows)
_DAY_KEY = ("day", "model", "version", "node", "shadow", "environment")

#: By dialect and table.
_STATEMENTS: dict[tuple[str, str], Executable] = {}


def add(connection: Connection, windows: Iterable[Mapping[str, Any]]) -> None:
    """Add the rows of new windows (rows of the table `window`) in the caller's transaction."""
    sums: Counter[tuple[Any, ...]] = Counter()
    days: Counter[tuple[Any, ...]] = Counter()
    for window in windows:
        source = tuple(window[name] for name in _KEY[:-1])
        outcomes = window["outcomes"] or {UNREAD: window["rows"]}
        for outcome, rows in outcomes.items():
            sums[(*source, outcome)] += rows
            day = window["started_at"] // DAY_MS * DAY_MS
            days[(day, *source, window.get("environment", schema.PRODUCTION))] += rows
    _add(connection, schema.tally, _KEY, sums)
    _add(connection, schema.daily, _DAY_KEY, days)


def _add(
    connection: Connection, table: Table, key: Sequence[str], sums: Mapping[tuple[Any, ...], int]
) -> None:
    values = [dict(zip(key, one, strict=True)) | {"rows": rows} for one, rows in sums.items()]
    if not values:
        return
    # Made once: that costs more than to execute it, and every upload needs it.
    made = (connection.dialect.name, table.name)
    if made not in _STATEMENTS:
        _STATEMENTS[made] = _statement(connection, table, key)
    connection.execute(_STATEMENTS[made], values)


def _statement(connection: Connection, table: Table, key: Sequence[str]) -> Executable:
    statement = insert_into(connection, table)
    added = statement.excluded.rows
    # Saturated: SQLite would go on in floating point, PostgreSQL would refuse the upload.
    room = MAXIMUM_COUNT - table.c.rows
    total = case((added >= room, MAXIMUM_COUNT), else_=table.c.rows + added)
    return statement.on_conflict_do_update(index_elements=key, set_={"rows": total})


@dataclass(frozen=True, slots=True)
class OutcomeCount:
    """Rows of one model, version and node by outcome."""

    model: str
    version: str
    node: str
    shadow: bool
    outcome: str
    rows: int


def by_outcome(
    connection: Connection, model: str | None, limit: int | None = None, offset: int = 0
) -> list[OutcomeCount]:
    """Return rows by model, version, node, shadow and outcome; in pages, if wanted.

    Args:
        connection: of an open transaction; it only reads.
        model: one model; None: all.
        limit: most rows of the page; None: all.
        offset: rows before the page.
    """
    wanted = select(*_COUNTED)
    if model is not None:
        wanted = wanted.where(_TALLY.model == model)
    return _listed(connection, wanted.order_by(*_KEY).limit(limit).offset(offset))


def current(connection: Connection) -> list[OutcomeCount]:
    """Return the same of what is in service or rolled out now, and of what the hub cannot read.

    It grows with the fleet and not with its history.
    """
    placed, rolled_out = schema.placement.c, schema.rollout.c
    now = union(
        select(placed.model, placed.version).where(placements.IS_CURRENT),
        select(rolled_out.model, rolled_out.candidate).where(schema.IS_ACTIVE),
    ).cte("now")
    wanted = select(*_COUNTED).join_from(
        now, schema.tally, (_TALLY.model == now.c.model) & (_TALLY.version == now.c.version)
    )
    unread = select(*_COUNTED).where(schema.IS_UNREAD)
    # Sorted here: with ORDER BY, SQLite would scan the tallies of all times.
    found = _listed(connection, wanted) + _listed(connection, unread)
    return sorted(found, key=attrgetter(*_KEY))


def _listed(connection: Connection, wanted: Select[Any]) -> list[OutcomeCount]:
    found = (OutcomeCount(*row) for row in connection.execute(wanted))
    return [one for one in found if one.rows]
