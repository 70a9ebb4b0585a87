"""A hub's database of any size: versions, placements and windows.

Each model has its share of the versions, placed one after the other over a year, each by a rollout
of three steps. Every node sends a window a day of each model it runs. Versions share one profile
and windows one content; all else differs from row to row.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
from sqlalchemy import Table, func, insert, literal, select

from gnomon.bench.hub.registry_rows import (
    WINDOW_ROWS,
    RegistrySize,
    alias_rows,
    digest_of,
    placement_rows,
    rollout_rows,
    step_rows,
    tag_rows,
    version_rows,
    window_rows,
)
from gnomon.core.contract import Contract
from gnomon.core.fields import Field, Kind
from gnomon.core.reference import FieldReference, Reference
from gnomon.core.window import ANSWERED_CODE
from gnomon.runtime.packages.profile import Profile, encode_profile
from gnomon.server.hub.monitoring import windows
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.database import Database

_BATCH = 5_000
_FIELDS = tuple(Field(name=f"f{place}", kind=Kind.FLOAT64) for place in range(4))


def fill(database: Database, size: RegistrySize) -> None:
    """Write all of it into an empty database."""
    profile = _profile()
    content = _window(profile)
    tables: Sequence[tuple[Table, Iterator[dict[str, Any]]]] = (
        (schema.version, version_rows(size, encode_profile(profile))),
        (schema.alias, alias_rows(size)),
        (schema.tag, tag_rows(size)),
        (schema.placement, placement_rows(size)),
        (schema.rollout, rollout_rows(size)),
        (schema.rollout_step, step_rows(size)),
    )
    for table, rows in tables:
        _insert(database, table, rows)
    with database.read() as connection:
        counted = windows.service_counts(connection, digest_of(size.models[0], 0), content)
    _insert(database, schema.window, window_rows(size, {**counted, "data": content}))
    (outcome,) = (name for name, rows in counted["outcomes"].items() if rows)
    _sum_up(database, outcome)
    _analyze(database)


def _insert(database: Database, table: Table, rows: Iterator[dict[str, Any]]) -> None:
    while batch := list(islice(rows, _BATCH)):
        with database.write() as connection:
            connection.execute(insert(table), batch)


def _sum_up(database: Database, outcome: str) -> None:
    """Write what `counts.add` writes as windows come; here all have one outcome."""
    window = schema.window.c
    source = (window.model, window.version, window.node, window.shadow)
    rows = func.sum(window.rows)
    tally = select(*source, literal(outcome), rows).group_by(*source)
    key = (window.started_at, *source, window.environment)
    daily = select(*key, rows).group_by(*key)
    with database.write() as connection:
        for table, sums in ((schema.tally, tally), (schema.daily, daily)):
            connection.execute(insert(table).from_select(list(table.c.keys()), sums))


def _analyze(database: Database) -> None:
    """Do what a database does by itself in time: PostgreSQL's autovacuum, SQLite's optimize."""
    statement = "VACUUM ANALYZE" if database.engine.dialect.name == "postgresql" else "ANALYZE"
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(statement)


def _profile() -> Profile:
    edges = tuple(float(edge) for edge in range(9))
    references = tuple(
        FieldReference(one.name, "numeric", edges=edges, counts=(0, *(500,) * 8, 0, 0, 0))
        for one in _FIELDS
    )
    return Profile(
        inputs=_FIELDS[:3],
        rules=(),
        outputs=_FIELDS[3:],
        input_reference=Reference(references[:3], rows=4_000),
        output_reference=Reference(references[3:], rows=4_000),
    )


def _window(profile: Profile) -> bytes:
    """Return the content of a window of some rows."""
    window = profile.new_window()
    random = np.random.default_rng(0)
    for fields, update in (
        (profile.inputs, window.update_columns),
        (profile.outputs, window.update_output_columns),
    ):
        values = {one.name: random.uniform(0, 8, WINDOW_ROWS) for one in fields}
        columns, _ = Contract(list(fields)).check_columns(values)
        update(columns)
    window.observe(ANSWERED_CODE, 1_000_000, WINDOW_ROWS)
    return window.to_bytes()
