"""A hub's database of any size: versions, placements and windows.

Each model has its share of the versions, placed one after the other over a year, each by a rollout
of three steps. Every node sends a window a day of each model it runs. Versions share one profile
and windows one content; all else differs from row to row.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any

import numpy as np
from sqlalchemy import Table, func, insert, literal, select

from gnomon.core.contract import Contract
from gnomon.core.fields import Field, Kind
from gnomon.core.reference import FieldReference, Reference
from gnomon.core.window import ANSWERED_CODE
from gnomon.runtime.packages.profile import Profile, encode_profile
from gnomon.server.hub.monitoring import windows
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.clock import DAY_MS
from gnomon.server.hub.store.database import Database
from gnomon.server.hub.versions.search import words_of

DAYS = 365
#: The first day, UTC: 2025-01-01.
FIRST_DAY = 20_089
MODELS = 50

_BATCH = 5_000
_ROWS = 200
_STEPS = (100, 500, 1_000)
_TEAMS = ("north", "south", "east", "west")
_FIELDS = tuple(Field(name=f"f{place}", kind=Kind.FLOAT64) for place in range(4))
_ENVELOPE = json.dumps({"payload": "x" * 400, "signatures": [{"keyid": "k" * 64, "sig": "s" * 88}]})


@dataclass(frozen=True)
class RegistrySize:
    """How much there is."""

    versions: int = 10_000
    windows: int = 1_000_000

    @property
    def models(self) -> list[str]:
        """Return the models' names."""
        return [f"model-{place:02}" for place in range(min(MODELS, self.versions))]

    @property
    def versions_each(self) -> int:
        """Return how many versions each model has."""
        return self.versions // len(self.models)

    @property
    def nodes(self) -> int:
        """Return how many nodes each model runs on."""
        return max(1, round(self.windows / (len(self.models) * DAYS)))

    def placed_on(self, day: int) -> int:
        """Return which of a model's versions was in service on a day."""
        return day * self.versions_each // DAYS


def fill(database: Database, size: RegistrySize) -> None:
    """Write all of it into an empty database."""
    profile = _profile()
    content = _window(profile)
    tables: Sequence[tuple[Table, Iterator[dict[str, Any]]]] = (
        (schema.version, _versions(size, encode_profile(profile))),
        (schema.alias, _aliases(size)),
        (schema.tag, _tags(size)),
        (schema.placement, _placements(size)),
        (schema.rollout, _rollouts(size)),
        (schema.rollout_step, _steps(size)),
    )
    for table, rows in tables:
        _insert(database, table, rows)
    with database.read() as connection:
        counted = windows.service_counts(connection, _digest(size.models[0], 0), content)
    _insert(database, schema.window, _windows(size, counted | {"data": content}))
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


def _digest(model: str, version: int) -> str:
    return hashlib.sha256(f"{model}@{version}".encode()).hexdigest()


def _id(model: str, version: int) -> str:
    return f"{model.upper()}{version:018}"[:26]


def _at(day: float) -> int:
    return int((FIRST_DAY + day) * DAY_MS)


def _each(size: RegistrySize) -> Iterator[tuple[int, str, int]]:
    for version in range(size.versions_each):
        for place, model in enumerate(size.models):
            yield place, model, version


def _versions(size: RegistrySize, profile: bytes) -> Iterator[dict[str, Any]]:
    for place, model, version in _each(size):
        owner = f"team-{_TEAMS[place % len(_TEAMS)]}"
        fingerprint = hashlib.sha256(f"{model} data {version // 3}".encode()).hexdigest()
        yield {
            "digest": _digest(model, version),
            "name": model,
            "version": str(version),
            "format": "onnx",
            "published_at": _at(version * DAYS / size.versions_each) - DAY_MS + place,
            "publisher": f"builder-{place % 7}",
            "owner": owner,
            "risk_tier": "high" if place % 10 == 0 else "low",
            "dataset": fingerprint,
            "words": words_of(model, str(version), f"builder-{place % 7}", owner),
            "manifest": _manifest(model, version, fingerprint),
            "envelopes": [_ENVELOPE, _ENVELOPE],
            "profile": profile,
        }


def _manifest(model: str, version: int, fingerprint: str) -> dict[str, Any]:
    chunks = [_digest(model, -chunk) for chunk in range(1, 17)]
    files = [
        {"path": f"f{n}", "size": 1 << 20, "sha256": fingerprint, "chunks": chunks[:8]}
        for n in range(3)
    ]
    return {
        "gnomon": 1,
        "name": model,
        "version": str(version),
        "format": "onnx",
        "files": files,
        "reproducibility": {
            "dataset_uri": f"s3://data/{model}/{version // 3}",
            "dataset_fingerprint": fingerprint,
            "test_metrics": {"mean_absolute_error": 1 + version % 7 / 10},
            "parameters": {"depth": 3, "trees": 100 + version},
        },
    }


def _aliases(size: RegistrySize) -> Iterator[dict[str, Any]]:
    for model in size.models:
        values = {"model": model, "set_at": _at(0), "actor": "ada"}
        yield values | {"alias": "baseline", "version": "0"}


def _tags(size: RegistrySize) -> Iterator[dict[str, Any]]:
    for place, model, version in _each(size):
        values = {"model": model, "version": str(version)}
        yield values | {"key": "region", "value": _TEAMS[(place + version) % len(_TEAMS)]}
        if version % 100 == 0:
            yield values | {"key": "audited", "value": "yes"}


def _changes(size: RegistrySize) -> Iterator[tuple[str, int, int, int]]:
    """Yield model, version, and its first and next version's first day in service."""
    firsts: dict[int, int] = {}
    for day in range(DAYS):
        firsts.setdefault(size.placed_on(day), day)
    spans = pairwise([*firsts.items(), (size.versions_each, DAYS)])
    for (version, first), (_, following) in spans:
        for model in size.models:
            yield model, version, first, following


def _placements(size: RegistrySize) -> Iterator[dict[str, Any]]:
    for model, version, first, following in _changes(size):
        yield {
            "id": _id(model, version),
            "model": model,
            "version": str(version),
            "started_at": _at(first),
            "ended_at": None if following == DAYS else _at(following),
            "actor": "gate",
        }


def _rollouts(size: RegistrySize) -> Iterator[dict[str, Any]]:
    for model, version, first, _ in _changes(size):
        yield {
            "id": _id(model, version),
            "model": model,
            "champion": str(max(version - 1, 0)),
            "candidate": str(version),
            "state": "completed",
            "weight": 1_000,
            "shadow": 0,
            "step": len(_STEPS) - 1,
            "plan": {"steps": list(_STEPS)},
            "created_at": _at(first - 0.5),
            "updated_at": _at(first),
            "ended_at": _at(first),
            "actor": "ada",
            "reason": "passed",
        }


def _steps(size: RegistrySize) -> Iterator[dict[str, Any]]:
    for model, version, first, _ in _changes(size):
        for position, weight in enumerate(_STEPS):
            yield {
                "rollout": _id(model, version),
                "position": position,
                "weight": weight,
                "shadow": 0,
                "entered_at": _at(first - 0.4 + position / 10),
                "left_at": _at(first - 0.3 + position / 10),
                "window_position": 0,
                "verdict": "passed",
                "evidence": {},
            }


def _windows(size: RegistrySize, content: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    left = size.windows
    for day in range(DAYS):
        version = size.placed_on(day)
        for place, model in enumerate(size.models):
            for node in range(min(size.nodes, left)):
                left -= 1
                yield {
                    "node": f"node-{node:04}",
                    "boot": "b",
                    "sequence": day * len(size.models) + place,
                    "digest": _digest(model, version),
                    "model": model,
                    "version": str(version),
                    "route": model,
                    "shadow": False,
                    "started_at": _at(day),
                    "ended_at": _at(day + 1),
                    "rows": _ROWS,
                    "received_at": _at(day + 1),
                    **content,
                }


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
        values = {one.name: random.uniform(0, 8, _ROWS) for one in fields}
        columns, _ = Contract(list(fields)).check_columns(values)
        update(columns)
    window.observe(ANSWERED_CODE, 1_000_000, _ROWS)
    return window.to_bytes()
