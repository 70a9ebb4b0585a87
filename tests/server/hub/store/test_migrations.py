"""A hub of any released schema is brought to the newest with all that it holds."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, column, create_engine, insert, select, table

from gnomon.bench.hub import postgres
from gnomon.command.root import run
from gnomon.runtime.lock import FolderLock
from gnomon.runtime.packages.signing import Signer
from gnomon.server.hub import placements
from gnomon.server.hub.access import assigned, environments, principals
from gnomon.server.hub.access.authority import Authority
from gnomon.server.hub.fleet import desired
from gnomon.server.hub.store import audit, migrations, schema
from gnomon.server.hub.store.database import Database

#: Rows of each table that a later schema changes, as the released schema has them.
RELEASED: dict[str, list[dict[str, Any]]] = {
    "node": [
        {
            "name": "device-1",
            "role": "node",
            "certificate_serial": "1",
            "enrolled_at": 1,
            "facts": {"engines": "onnx"},
            "digests": [],
            "spool": {},
        }
    ],
    "token": [
        {
            "id": "T",
            "token_hash": "h",
            "role": "node",
            "name_pattern": "*",
            "created_at": 1,
            "expires_at": 2,
        }
    ],
    "version": [
        {
            "digest": digest * 64,
            "name": "eta",
            "version": version,
            "format": "onnx",
            "published_at": 1,
            "publisher": "ada",
            "manifest": {},
            "envelopes": [],
            "profile": b"",
        }
        for version, digest in (("0", "b"), ("1", "a"), ("never-placed", "c"))
    ],
    "placement": [
        {"id": "P0", "model": "eta", "version": "0", "started_at": 1, "ended_at": 2, "actor": "a"},
        {"id": "P1", "model": "eta", "version": "1", "started_at": 2, "actor": "ada"},
    ],
    "rollout": [
        {
            "id": "R1",
            "model": "eta",
            "champion": "0",
            "candidate": "1",
            "state": "completed",
            "weight": 1000,
            "shadow": 0,
            "step": 0,
            "plan": {"steps": [1000]},
            "created_at": 1,
            "updated_at": 2,
            "ended_at": 2,
            "actor": "ada",
        }
    ],
    "principal": [
        {"id": role, "name": name, "role": role, "key_hash": name, "created_at": 1}
        for name, role in (("olga", "operator"), ("vera", "viewer"))
    ],
    "window": [
        {
            "node": "device-1",
            "boot": "b",
            "sequence": 1,
            "digest": "a" * 64,
            "model": "eta",
            "version": "1",
            "route": "eta",
            "shadow": False,
            "started_at": 0,
            "ended_at": 1,
            "rows": 7,
            "outcomes": {"answered": 7},
            "latency": {},
            "data": b"w",
            "received_at": 1,
        }
    ],
    "daily": [
        {"day": 0, "model": "eta", "version": "1", "node": "device-1", "shadow": False, "rows": 7}
    ],
}


@pytest.fixture
def empty_url(tmp_path: Path, database_kind: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """A database without any table."""
    if database_kind == "sqlite":
        yield f"sqlite:///{tmp_path / 'released.db'}"
        return
    server: postgres.Postgres = request.getfixturevalue("postgres_server")
    yield server.create_database("released")
    server.drop_database("released")


def move_to(connection: Connection, revision: str, *, up: bool = True) -> None:
    configuration = Config()
    configuration.set_main_option("script_location", str(migrations.FOLDER))
    configuration.attributes["connection"] = connection
    (command.upgrade if up else command.downgrade)(configuration, revision)


def fill(connection: Connection) -> None:
    for name, rows in RELEASED.items():
        for row in rows:
            now = schema.metadata.tables[name].c
            columns = [column(key, now[key].type if key in now else None) for key in row]
            connection.execute(insert(table(name, *columns)).values(**row))


def counted(connection: Connection) -> dict[str, int]:
    return {
        name: len(connection.execute(select(schema.metadata.tables[name])).all())
        for name in RELEASED
    }


@pytest.mark.both_databases
def test_the_released_schema_is_brought_up_with_its_data(empty_url: str) -> None:
    engine = create_engine(empty_url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        move_to(connection, "0001")
        fill(connection)
    engine.dispose()
    database = Database(empty_url)
    with database.read() as connection:
        assert counted(connection) == {name: len(rows) for name, rows in RELEASED.items()}
        assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []
        for changed in (schema.token, schema.node, schema.placement, schema.rollout, schema.daily):
            assert set(connection.scalars(select(changed.c.environment))) == {"production"}
        assert [one.name for one in environments.listing(connection)] == [
            "development",
            "test",
            "staging",
            "production",
        ]
        assert {one.name: one.grants[0].role for one in principals.listing(connection)} == {
            "olga": "admin",  # who could do everything still may
            "vera": "viewer",
        }
        (package,) = desired.build(connection, ["onnx"]).packages
        assert package.digest == "a" * 64
        assert not desired.build(connection, ["onnx"], "staging").packages
        # What a node still has to tell of versions before is believed after the upgrade.
        assert assigned.of_node(connection, "device-1") == {"a" * 64, "b" * 64}
        assert audit.verify_chain(connection).intact
    with database.change("ada") as change:  # two environments may have a version each
        placements.put_in_service(change, "eta", "1", "staging")
    with database.write() as connection:
        move_to(connection, "0001", up=False)
    database.close()


def test_revisions_follow_each_other_to_the_newest() -> None:
    """Alembic only warns if two have one number, and then applies one of them."""
    files = sorted((migrations.FOLDER / "versions").glob("v*.py"))
    found = [import_module(f"{migrations.__name__}.versions.{file.stem}") for file in files]
    numbers = [module.revision for module in found]
    assert numbers == [f"{number:04}" for number in range(1, len(found) + 1)]
    assert [module.down_revision for module in found] == [None, *numbers[:-1]]
    assert numbers[-1] == migrations.HEAD


def revision(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        (found,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(found)


@pytest.mark.parametrize("command", ["doctor", "backup OUT", "export OUT --key KEY", "import OUT"])
def test_no_command_migrates_the_database_of_a_hub_that_may_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    folder = tmp_path / "hub"
    folder.mkdir()
    engine = create_engine(f"sqlite:///{folder / 'hub.db'}")
    with engine.begin() as connection:
        move_to(connection, "0010")
    engine.dispose()
    Authority.in_folder(folder)
    Signer.generate().save(tmp_path / "KEY")
    if command.startswith("import"):
        (tmp_path / "OUT").mkdir()
    words = [str(tmp_path / one) if one.isupper() else one for one in command.split()]
    assert run(["hub", *words, "--data-folder", str(folder)]) == 2
    assert "run `gnomon hub migrate`" in " ".join(capsys.readouterr().err.split())
    assert revision(folder / "hub.db") == "0010"
    lock = FolderLock(folder)  # a hub that runs
    assert run(["hub", "migrate", "--data-folder", str(folder)]) == 5
    lock.release()
    assert revision(folder / "hub.db") == "0010"
    assert run(["hub", "migrate", "--data-folder", str(folder)]) == 0
    assert revision(folder / "hub.db") == migrations.HEAD
