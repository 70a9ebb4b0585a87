"""The store that the benchmark fills is one that the hub could have written."""

from pathlib import Path

import pytest
from sqlalchemy import func, select

from gnomon.bench.hub.registry import measure
from gnomon.bench.hub.registry_rows import RegistrySize
from gnomon.bench.hub.registry_store import fill
from gnomon.server.hub.ingest import counts
from gnomon.server.hub.monitoring import windows
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.database import Database

SIZE = RegistrySize(versions=100, windows=20_000)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Database:
    folder: Path = tmp_path_factory.mktemp("registry")
    database = Database.in_folder(folder)
    fill(database, SIZE)
    return database


def test_it_is_as_large_as_asked(database: Database) -> None:
    with database.read() as connection:
        for table, rows in ((schema.version, SIZE.versions), (schema.window, 18_250)):
            assert connection.scalar(select(func.count()).select_from(table)) == rows
    assert SIZE.nodes * len(SIZE.models) * 365 == 18_250


def test_sums_are_those_that_arriving_windows_would_have(
    database: Database, tmp_path: Path
) -> None:
    again = Database.in_folder(tmp_path)
    names = [column.name for column in schema.window.c if column.name != "position"]
    with database.read() as source, again.write() as target:
        rows = source.execute(select(*(schema.window.c[name] for name in names))).mappings()
        counts.add(target, rows.all())
    for table in (schema.tally, schema.daily):
        wanted = select(table).where(table.c.rows > 0).order_by(*table.primary_key.columns)
        with database.read() as one, again.read() as two:
            assert one.execute(wanted).all() == two.execute(wanted).all()


def test_its_windows_can_be_read(database: Database) -> None:
    with database.read() as connection:
        row = connection.execute(select(schema.window).limit(1)).one()
        assert windows.read(connection, row.digest, row.data).outcome_rows["answered"] == row.rows


def test_every_question_is_answered(database: Database) -> None:
    figures = measure(database, SIZE, repeats=1)
    assert len({figure.question for figure in figures}) == len(figures) > 10
    assert all(0 < figure.median <= figure.p95 for figure in figures)
