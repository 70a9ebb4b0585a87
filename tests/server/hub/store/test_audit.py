"""Whatever is done to the audit chain afterwards, a check names the place."""

from collections.abc import Callable

import pytest
from sqlalchemy import Connection, insert, select

from gnomon.server.hub.store import audit, schema
from gnomon.server.hub.store.database import Database

pytestmark = pytest.mark.both_databases

RECORDS = 6
AUDIT = schema.audit


@pytest.fixture
def database(database_url: str) -> Database:
    database = Database(database_url)
    for number in range(RECORDS):
        with database.change("ada") as change:
            change.audit("place", f"eta@{number}", {"ümlaut": number})
    return database


def verdict(database: Database) -> audit.ChainVerdict:
    with database.read() as connection:
        return audit.verify_chain(connection)


def test_an_untouched_chain_is_intact(database: Database) -> None:
    assert verdict(database) == audit.ChainVerdict(True, RECORDS)


def test_an_empty_chain_is_intact(database_url: str) -> None:
    assert verdict(Database(database_url)) == audit.ChainVerdict(True, 0)


@pytest.mark.slow
def test_a_subject_that_sql_cannot_store_leaves_the_chain_intact(database: Database) -> None:
    with database.change("a\0\ud800") as change:
        change.audit("place", "eta\0", {"reason": "\0 \ud800 ü"})
    assert verdict(database) == audit.ChainVerdict(True, RECORDS + 1)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("actor", "eve"),
        ("action", "remove"),
        ("subject", "eta@9"),
        ("detail", "{}"),
        ("at", 1),
        ("hash", "0" * 64),
        ("previous", "0" * 64),
    ],
)
def test_a_changed_record_is_found(database: Database, column: str, value: object) -> None:
    with database.write() as connection:
        connection.execute(AUDIT.update().where(AUDIT.c.sequence == 3).values({column: value}))
    found = verdict(database)
    assert not found.intact
    assert found.broken_at == 3


def remove_middle(connection: Connection) -> None:
    connection.execute(AUDIT.delete().where(AUDIT.c.sequence == 3))


def remove_last(connection: Connection) -> None:
    connection.execute(AUDIT.delete().where(AUDIT.c.sequence == RECORDS))


def remove_first(connection: Connection) -> None:
    connection.execute(AUDIT.delete().where(AUDIT.c.sequence == 1))


def forge_last(connection: Connection) -> None:
    row = dict(connection.execute(select(AUDIT).where(AUDIT.c.sequence == 1)).mappings().one())
    connection.execute(insert(AUDIT).values(row | {"sequence": RECORDS + 1}))


def swap(connection: Connection) -> None:
    rows = connection.execute(select(AUDIT).where(AUDIT.c.sequence.in_((2, 3)))).mappings().all()
    connection.execute(AUDIT.delete().where(AUDIT.c.sequence.in_((2, 3))))
    for row in rows:
        connection.execute(insert(AUDIT).values({**row, "sequence": 5 - row["sequence"]}))


@pytest.mark.parametrize(
    ("tamper", "place"),
    [
        (remove_middle, 3),
        (remove_last, RECORDS),
        (remove_first, 1),
        (forge_last, RECORDS + 1),
        (swap, 2),
    ],
)
def test_a_chain_with_records_gone_or_moved_is_found(
    database: Database, tamper: Callable[[Connection], None], place: int
) -> None:
    with database.write() as connection:
        tamper(connection)
    found = verdict(database)
    assert not found.intact
    assert found.broken_at == place


def test_a_change_without_a_record_does_not_commit(database: Database) -> None:
    with pytest.raises(RuntimeError, match="no audit record"), database.change("eve") as change:
        change.execute(insert(schema.counter).values(name="x", value=1))
    with database.read() as connection:
        names = connection.scalars(select(schema.counter.c.name)).all()
    assert "x" not in names


def test_a_change_that_fails_leaves_no_record(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.change("ada") as change:
        change.audit("place", "eta@7")
        _ = 1 / 0
    assert verdict(database) == audit.ChainVerdict(True, RECORDS)


def test_records_are_listed_newest_first_by_pages(database: Database) -> None:
    with database.read() as connection:
        page = audit.listing(connection, None, 4)
        rest = audit.listing(connection, page[-1].sequence, 4)
    assert [record.sequence for record in page + rest] == list(range(RECORDS, 0, -1))
    assert page[0].detail == {"ümlaut": RECORDS - 1}
