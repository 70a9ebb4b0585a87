"""The store: durable transactions, a schema that migrations make, blobs that are what they say."""

import threading
from collections.abc import Iterator
from pathlib import Path

import obstore
import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from hypothesis import given
from hypothesis import strategies as st
from obstore.store import LocalStore, from_url
from sqlalchemy import func, insert, select, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from gnomon.runtime.errors import ConfigurationError, InvalidInput, NotFound, StorageError
from gnomon.runtime.packages.chunks import sha256
from gnomon.server.hub.store import migrations, schema
from gnomon.server.hub.store.audit import ChainVerdict, verify_chain
from gnomon.server.hub.store.blobs import Blobs, check_digest
from gnomon.server.hub.store.clock import new_id
from gnomon.server.hub.store.database import Database

pytestmark = pytest.mark.both_databases


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.slow)])
def blob_url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue("s3_url")) if request.param == "s3" else ""


@pytest.fixture
def blobs(database: Database, tmp_path: Path, blob_url: str) -> Blobs:
    return Blobs.at(database, blob_url, tmp_path / "blobs")


def test_migrations_make_just_the_tables_of_the_schema(database: Database) -> None:
    with database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []


def test_the_newest_revision_is_known_without_alembic() -> None:
    configuration = Config()
    configuration.set_main_option("script_location", str(migrations.FOLDER))
    assert ScriptDirectory.from_config(configuration).get_current_head() == migrations.HEAD


def test_the_schema_can_be_said_to_postgresql() -> None:
    dialect = postgresql.dialect()
    for table in schema.metadata.sorted_tables:
        assert str(CreateTable(table).compile(dialect=dialect))
        for index in table.indexes:
            statement = str(CreateIndex(index).compile(dialect=dialect))
            partial = index.dialect_options["sqlite"]["where"] is not None
            assert ("WHERE" in statement) == partial
    window = str(CreateTable(schema.window).compile(dialect=dialect))
    assert "position BIGSERIAL" in window


def test_opening_again_changes_nothing(database: Database, database_url: str) -> None:
    with database.change("ada") as change:
        change.audit("try", "this")
    with Database(database_url).read() as connection:
        assert connection.scalar(select(func.count()).select_from(schema.audit)) == 1


def test_what_is_acknowledged_survives_a_power_cut(tmp_path: Path) -> None:
    database = Database.in_folder(tmp_path)
    assert database.pragma("journal_mode") == {"journal_mode": "wal"}
    assert database.pragma("synchronous") == {"synchronous": 2}


def test_a_write_is_all_or_nothing(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.write() as connection:
        connection.execute(insert(schema.counter).values(name="a", value=1))
        _ = 1 / 0
    with database.read() as connection:
        assert "a" not in connection.scalars(select(schema.counter.c.name)).all()


def test_writers_of_several_hubs_take_turns(database: Database, database_url: str) -> None:
    """Each reads before it writes; none may write upon what another has changed meanwhile."""
    hubs = [database, Database(database_url)]
    with database.write() as connection:
        connection.execute(insert(schema.counter).values(name="tried", value=0))
    counter = schema.counter.c

    def count(hub: Database) -> None:
        for _ in range(5):
            with hub.change("ada") as change:
                value = change.connection.scalar(
                    select(counter.value).where(counter.name == "tried")
                )
                change.execute(
                    update(schema.counter).where(counter.name == "tried").values(value=value + 1)
                )
                change.audit("count", "one")

    threads = [threading.Thread(target=count, args=(hub,)) for hub in hubs * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    with database.read() as connection:
        assert connection.scalar(select(counter.value).where(counter.name == "tried")) == 20
        assert verify_chain(connection) == ChainVerdict(True, 20)
    hubs[1].close()


def test_a_read_sees_one_state(database: Database) -> None:
    with database.read() as connection:
        sequences = select(func.count()).select_from(schema.audit)
        before = connection.scalar(sequences)
        with database.change("ada") as change:
            change.audit("count", "one")
        assert connection.scalar(sequences) == before
    with database.read() as connection:
        assert connection.scalar(sequences) == before + 1


def test_ids_sort_by_time_and_differ() -> None:
    ids = [new_id() for _ in range(1_000)]
    assert len(set(ids)) == 1_000
    assert [one[:10] for one in ids] == sorted(one[:10] for one in ids)
    assert all(len(one) == 26 and one.isalnum() for one in ids)


@given(st.text(max_size=80))
def test_only_a_digest_is_a_digest(text: str) -> None:
    is_digest = len(text) == 64 and set(text) <= set("0123456789abcdef")
    if is_digest:
        assert check_digest(text) == text
    else:
        with pytest.raises(InvalidInput):
            check_digest(text)


@pytest.mark.slow
def test_blobs_come_back(blobs: Blobs) -> None:
    contents = [b"", b"one", bytes(1 << 20)]
    digests = [sha256(data) for data in contents]
    assert blobs.missing(digests) == digests
    assert blobs.put(zip(digests, contents, strict=True)) == 3
    assert blobs.put([(digests[1], b"one")]) == 1
    assert blobs.missing([*digests, sha256(b"two")]) == [sha256(b"two")]
    assert [blobs.get(digest) for digest in digests] == contents


def test_thousands_of_digests_are_requested_at_once(blobs: Blobs) -> None:
    digests = [sha256(str(number).encode()) for number in range(2_000)]
    blobs.put([(digests[1_234], b"1234")])
    assert blobs.missing(digests) == digests[:1_234] + digests[1_235:]


def test_a_false_blob_leaves_nothing(blobs: Blobs) -> None:
    good = (sha256(b"good"), b"good")
    with pytest.raises(InvalidInput, match="not what it says"):
        blobs.put([good, (sha256(b"one"), b"two")])
    assert blobs.missing([good[0], sha256(b"one")]) == [good[0], sha256(b"one")]


def test_a_transfer_that_breaks_off_resumes(blobs: Blobs) -> None:
    contents = [str(number).encode() for number in range(200)]
    digests = [sha256(data) for data in contents]

    def transfer() -> Iterator[tuple[str, bytes]]:
        yield from zip(digests[:150], contents[:150], strict=True)
        raise ConnectionError

    with pytest.raises(ConnectionError):
        blobs.put(transfer())
    missing = blobs.missing(digests)
    assert 0 < len(missing) < 100
    left = [(digest, contents[digests.index(digest)]) for digest in missing]
    assert blobs.put(left) == len(missing)
    assert blobs.missing(digests) == []


def test_damage_in_the_store_is_reported(blobs: Blobs, blob_url: str, tmp_path: Path) -> None:
    digest = sha256(b"one")
    blobs.put([(digest, b"one")])
    store = from_url(blob_url) if blob_url else LocalStore(tmp_path / "blobs")
    obstore.put(store, f"{digest[:2]}/{digest}", b"two")
    with pytest.raises(StorageError, match="damaged"):
        blobs.get(digest)
    with pytest.raises(NotFound, match="has no blob"):
        blobs.get(sha256(b"none"))


@pytest.mark.parametrize("url", ["https://example.com/x", "s3://no-such-bucket/hub", "s3://"])
def test_a_store_that_cannot_be_used_is_named(
    url: str, database: Database, tmp_path: Path, s3_server: str
) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot be written|should be such as"):
        Blobs.at(database, url, tmp_path / "blobs")


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("not a url", "not a URL"),
        ("mysql://root@localhost/hub", "'mysql'; expected sqlite or postgresql"),
    ],
)
def test_a_database_that_cannot_be_used_is_named(url: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        Database(url)
