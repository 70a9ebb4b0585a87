"""What goes wrong with a database is an error of ours, which says who can mend it."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError, OperationalError

from gnomon.bench.hub.postgres import Postgres
from gnomon.command.root import run
from gnomon.runtime.errors import (
    ConfigurationError,
    GnomonError,
    NotReady,
    Overloaded,
    StorageError,
)
from gnomon.server.hub.store import database as store
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.database import Database
from gnomon.server.hub.store.failures import translated

pytestmark = pytest.mark.usefixtures("kept_process")

HOUR_MS = 3_600_000


def damage(path: Path) -> None:
    """Overwrite all pages but the first."""
    data = path.read_bytes()
    path.write_bytes(data[:4096] + b"\xa5" * (len(data) - 4096))


@pytest.fixture
def broken(tmp_path: Path) -> Callable[[str], Path]:
    """A data folder whose database is not what it was."""

    def broken(how: str) -> Path:
        folder = tmp_path / "hub"
        folder.mkdir(mode=0o700)
        path = folder / "hub.db"
        if how == "garbage":
            path.write_bytes(b"no database at all " * 1_000)
            return folder
        database = Database.in_folder(folder)
        if how == "newer":
            with database.write() as connection:
                connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        database.close()
        if how == "damaged":
            damage(path)
        if how == "directory":
            path.unlink()
            path.mkdir()
        return folder

    return broken


@pytest.mark.parametrize(
    ("how", "kind", "said", "exit_code"),
    [
        ("garbage", StorageError, "damaged or no database", 5),
        ("damaged", StorageError, "damaged or no database", 5),
        ("directory", StorageError, "cannot be opened", 5),
        ("newer", ConfigurationError, "schema 9999, of a newer Gnomon", 2),
    ],
)
@pytest.mark.parametrize("command", ["run", "doctor"])
def test_a_broken_database_is_named(
    broken: Callable[[str], Path],
    capsys: pytest.CaptureFixture[str],
    command: str,
    how: str,
    kind: type[GnomonError],
    said: str,
    exit_code: int,
) -> None:
    folder = broken(how)
    with pytest.raises(kind, match=said):
        Database.in_folder(folder)
    ports = ["--rest-port", "0", "--enrolment-port", "0", "--sync-port", "0"]
    code = run(["hub", command, "--data-folder", str(folder), *ports])
    captured = capsys.readouterr()
    if command == "doctor" and kind is StorageError:
        assert (code, said.split()[0] in captured.out) == (1, True)
    else:
        assert (code, said in captured.err) == (exit_code, True)
    assert "Traceback" not in captured.err


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("postgresql://gnomon@127.0.0.1:1/gnomon", NotReady),
        ("sqlite:////nowhere/x.db", StorageError),
    ],
)
def test_a_database_that_is_not_there_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, url: str, kind: type[GnomonError]
) -> None:
    with pytest.raises(kind, match="database "):
        Database(url)
    folder = ["--data-folder", str(tmp_path / "hub"), "--rest-port", "0"]
    assert run(["hub", "run", "--database-url", url, *folder]) == 5
    assert "Traceback" not in capsys.readouterr().err


def test_a_full_disk_stores_nothing_and_says_so(tmp_path: Path) -> None:
    database = Database.in_folder(tmp_path)

    def fill() -> None:
        with database.write() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
            value = {"name": "x" * 60, "value": 4321}
            for number in range(1_000):
                row = value | {"name": f"{number}{value['name']}"}
                connection.execute(insert(schema.counter).values(row))

    with pytest.raises(StorageError, match="full; nothing was stored"):
        fill()
    with database.read() as connection:
        assert not connection.scalar(select(schema.counter).where(schema.counter.c.value == 4321))
    database.close()


def test_a_busy_database_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_BUSY_MS", 50)
    one, other = Database.in_folder(tmp_path), Database.in_folder(tmp_path)
    with one.write(), pytest.raises(Overloaded, match="try again") as raised, other.write():
        pass
    assert raised.value.details[0]["retry_after_seconds"] > 0
    with other.write():
        pass
    for database in (one, other):
        database.close()


def test_a_mistake_in_a_statement_stays_what_it_is(database: Database) -> None:
    row = {"name": "twice", "value": 1}
    with pytest.raises(IntegrityError), database.write() as connection:
        connection.execute(insert(schema.counter), [row, row])


@pytest.mark.parametrize("code", [0, 1, 9, 12, 18, 21])
def test_other_errors_of_sqlite_are_not_renamed(code: int) -> None:
    error = sqlite3.OperationalError("x")
    error.sqlite_errorcode = code
    assert translated(OperationalError("statement", {}, error)) is None


@pytest.mark.postgresql
class TestPostgresql:
    """On a real server."""

    @pytest.mark.parametrize(
        ("changed", "said"),
        [
            ({"username": "nobody_here"}, "does not accept the user"),
            ({"database": "none"}, "no such database"),
        ],
    )
    def test_a_wrong_url_is_the_settings_fault(
        self, postgres_server: Postgres, changed: dict[str, str], said: str
    ) -> None:
        url = make_url(postgres_server.url).set(**changed)  # type: ignore[arg-type]
        with pytest.raises(ConfigurationError, match=f"database_url: .*{said}"):
            Database(url.render_as_string(hide_password=False))

    @pytest.fixture
    def two_hubs(
        self, postgres_server: Postgres, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[Callable[[int], tuple[Database, Database]]]:
        """Open two hubs that wait so many milliseconds for a lock, and idle as long as they like.

        A test lowers one limit only: whatever pauses, the other is not reached.
        """
        monkeypatch.setattr(store, "IDLE_WRITER_MS", HOUR_MS)
        hubs: list[Database] = []

        def opened(lock_ms: int) -> tuple[Database, Database]:
            monkeypatch.setattr(store, "LOCK_MS", lock_ms)
            url = postgres_server.create_database("frozen", template="first")
            hubs.extend(Database(url) for _ in range(2))
            return hubs[0], hubs[1]

        yield opened
        for hub in hubs:
            hub.close()
        postgres_server.drop_database("frozen")

    def test_a_change_does_not_wait_for_ever_for_a_frozen_hub(
        self, two_hubs: Callable[[int], tuple[Database, Database]]
    ) -> None:
        frozen, other = two_hubs(50)
        with frozen.write() as connection:
            connection.execute(update(schema.counter).values(value=77))
            with pytest.raises(Overloaded, match="busy with another change"), other.write():
                pass

    def test_a_frozen_hub_loses_its_change_and_stops_no_other(
        self,
        two_hubs: Callable[[int], tuple[Database, Database]],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        frozen, other = two_hubs(HOUR_MS)
        with ExitStack() as ended:
            ended.enter_context(pytest.raises((Overloaded, NotReady)))
            with monkeypatch.context() as short:
                short.setattr(store, "IDLE_WRITER_MS", 100)
                connection = ended.enter_context(frozen.write())
            connection.execute(update(schema.counter).values(value=77))
            # It waits for the lock until the server has ended the other's transaction.
            with other.write() as second:
                kept = select(schema.counter).where(schema.counter.c.value == 77)
                assert not second.scalar(kept)
        with frozen.write() as connection:
            assert connection.scalar(select(schema.counter.c.name)) is not None

    def test_our_limits_are_set(
        self,
        two_hubs: Callable[[int], tuple[Database, Database]],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        pair = two_hubs(20_000)
        monkeypatch.setattr(store, "IDLE_WRITER_MS", 40_000)
        with pair[0].write() as connection:
            shown = {
                name: connection.exec_driver_sql(f"SHOW {name}").scalar_one()
                for name in ("lock_timeout", "idle_in_transaction_session_timeout")
            }
        assert shown == {
            "lock_timeout": "20s",
            "idle_in_transaction_session_timeout": "40s",
        }
        with pair[0].read() as connection:  # a long read stops nobody
            idle = connection.exec_driver_sql("SHOW idle_in_transaction_session_timeout")
            assert idle.scalar_one() == "0"
