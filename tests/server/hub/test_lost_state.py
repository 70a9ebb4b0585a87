"""A hub whose state is lost in part does not start as an empty one, and overwrites nothing."""

import errno
import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gnomon.command.root import run
from gnomon.runtime.errors import StorageError
from gnomon.server.hub.access import authority, fleet_key, local_key
from gnomon.server.hub.access.authority import Authority
from gnomon.server.hub.process import Hub
from gnomon.server.hub.settings import HubSettings
from gnomon.server.hub.store.database import Database

pytestmark = pytest.mark.usefixtures("kept_process")


@pytest.fixture
def folder(settings: HubSettings) -> Path:
    """The data folder of a hub that has run."""
    folder = settings.data_folder
    database = Database.in_folder(folder)
    fleet_key.load(database, folder)
    database.close()
    return folder


def remove(*names: str) -> Callable[[Path], None]:
    def lose(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return lose


def empty(folder: Path) -> None:
    (folder / "hub.db").write_bytes(b"")


def foreign(folder: Path) -> None:
    """Put the database of another program there."""
    (folder / "hub.db").unlink()
    with closing(sqlite3.connect(folder / "hub.db")) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE other (name TEXT)")


def replace(*names: str) -> Callable[[Path], None]:
    """Put files of another authority there."""

    def lose(folder: Path) -> None:
        other = folder.with_name("other")
        other.mkdir()
        Authority.in_folder(other)
        for name in names:
            shutil.copy(other / name, folder / name)

    return lose


def keep_content_only(folder: Path) -> None:
    remove("hub.db", "authority.key", "authority.pem")(folder)
    (folder / "blobs" / "ab").mkdir(parents=True)


LOST = {
    "no database": (remove("hub.db"), "no hub's state here"),
    "an empty database": (empty, "no hub's state here"),
    "a database of another program": (foreign, "no hub's state here"),
    "content alone": (keep_content_only, "no hub's state here"),
    "no key": (remove("authority.key"), "authority.key is missing"),
    "no authority": (remove("authority.key", "authority.pem"), "authority.key is missing"),
    "another authority": (replace("authority.key", "authority.pem"), "not the one that this"),
    "another key": (replace("authority.key"), "not of the key beside it"),
    "another certificate": (replace("authority.pem"), "not of the key beside it"),
}


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    passing = ("lock", "hub.db-wal", "hub.db-shm")
    return {path.name: path.read_bytes() for path in files if path.name not in passing}


@pytest.mark.parametrize("what", LOST)
def test_lost_state_is_named_and_nothing_is_overwritten(
    folder: Path, settings: HubSettings, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    lose, said = LOST[what]
    lose(folder)
    before = contents(folder)
    for _ in range(2):  # the first attempt leaves nothing that the second would believe
        with pytest.raises(StorageError, match=said):
            Hub(settings)
    assert contents(folder) == before
    assert run(["hub", "doctor", "--json", "--data-folder", str(folder)]) == 1
    found = [fault for one in json.loads(capsys.readouterr().out) for fault in one["faults"]]
    assert any(said in fault for fault in found)
    assert contents(folder) == before


def test_a_lost_certificate_is_made_again_of_the_same_key(
    folder: Path, settings: HubSettings
) -> None:
    before = Authority.in_folder(folder)
    remove("authority.pem")(folder)
    hub = Hub(settings)
    assert hub.services.authority.key_hash == before.key_hash
    hub.stop()


@pytest.mark.parametrize("module", [authority, local_key])
def test_a_full_disk_at_the_first_start_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    module: Any,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    folder = tmp_path / "new"
    folder.mkdir(mode=0o700)
    monkeypatch.setattr(module, "write_durably", fail)
    code = run(["hub", "run", "--data-folder", str(folder), "--rest-port", "0"])
    monkeypatch.undo()
    assert (code, "No space left" in capsys.readouterr().err) == (5, True)


def test_a_sound_hub_is_sound(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["hub", "doctor", "--json", "--data-folder", str(folder)]) == 0
    checks = {one["check"] for one in json.loads(capsys.readouterr().out)}
    assert "authority" in checks


def test_a_start_that_was_cut_off_continues(tmp_path: Path, settings: HubSettings) -> None:
    """After the database was begun, and before the authority was recorded."""
    folder = tmp_path / "cut"
    folder.mkdir()
    database = Database.in_folder(folder)
    made = fleet_key.load(database, folder)
    assert fleet_key.load(database, folder).key_hash == made.key_hash
    database.close()
