"""The doctor sees what would keep nodes from following this hub."""

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Connection, delete, select, update

from gnomon.runtime.errors import StorageError
from gnomon.server.hub.access.authority import Authority
from gnomon.server.hub.metadata_check import check_metadata
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.database import Database
from gnomon.server.hub.trust import stored
from gnomon.server.hub.trust.repository import TrustRepository
from gnomon.server.hub.trust.signing_keys import SigningKeys

ROW = schema.trust_metadata.c


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder whose keys were replaced once, so that it has two roots."""
    folder = tmp_path_factory.mktemp("sound") / "hub"
    folder.mkdir()
    database = Database.in_folder(folder)
    trust = TrustRepository(database, SigningKeys(folder, Authority.in_folder(folder)))
    with database.change("ada") as change:
        trust.rotate(change)
    trust.current()
    database.close()
    return folder


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    shutil.copytree(sound, tmp_path / "hub")
    return tmp_path / "hub"


def examine(folder: Path, change: Callable[[Connection], object] | None = None) -> str:
    database = Database.in_folder(folder)
    if change is not None:
        with database.write() as connection:
            change(connection)
    finding = check_metadata(database, folder)
    database.close()
    assert finding.is_sound == (not finding.faults)
    return "\n".join(finding.faults) or finding.remark


def remove(role: str, version: int = 0) -> Callable[[Connection], object]:
    chosen = (ROW.role == role) & ((ROW.version == version) if version else True)
    return lambda connection: connection.execute(delete(schema.trust_metadata).where(chosen))


def replace(role: str, data: bytes) -> Callable[[Connection], object]:
    statement = update(schema.trust_metadata).where(ROW.role == role).values(data=data)
    return lambda connection: connection.execute(statement)


def swap(role: str, by: str) -> Callable[[Connection], object]:
    def swap(connection: Connection) -> None:
        data = connection.scalar(select(ROW.data).where(ROW.role == by))
        replace(role, data or b"")(connection)

    return swap


def age(*roles: str) -> Callable[[Connection], object]:
    """Let metadata have expired long ago, and be signed so."""

    def age(connection: Connection) -> None:
        found = stored.load(connection)
        for role in roles:
            metadata = found.others[role].metadata
            metadata.signed.expires = datetime(2020, 1, 1, tzinfo=UTC)
            for signer in KEYS.find(found.root.roles[role].keyids):
                metadata.sign(signer)
            stored.store(connection, role, metadata)

    return age


KEYS: SigningKeys


@pytest.fixture(autouse=True)
def _keys(folder: Path) -> None:
    global KEYS
    KEYS = SigningKeys(folder, Authority.in_folder(folder))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (None, ""),
        (remove("targets"), "targets is missing"),
        (remove("snapshot"), "snapshot is missing"),
        (remove("root"), "root is missing"),
        (replace("targets", b"{half"), "is damaged"),
        (replace("timestamp", b"\xff"), "is damaged"),
        (swap("snapshot", "timestamp"), "holds timestamp"),
    ],
)
def test_missing_and_damaged_metadata_is_named(
    folder: Path, change: Callable[[Connection], object] | None, said: str
) -> None:
    found = examine(folder, change)
    assert (said in found) if said else not found


def test_metadata_of_other_keys_is_named(folder: Path) -> None:
    def forge(connection: Connection) -> None:
        metadata = stored.load(connection).others["targets"].metadata
        metadata.signed.version += 1
        metadata.sign(KEYS.make())
        stored.store(connection, "targets", metadata)

    found = examine(folder, forge)
    assert "targets is not signed by the keys" in found
    assert "the snapshot names targets" in found


def test_keys_that_are_not_in_the_folder_are_named(folder: Path) -> None:
    shutil.rmtree(folder / "trust")
    found = examine(folder)
    for role in ("key of snapshot", "key of timestamp", "key that signs desired states"):
        assert role in found


def test_what_the_hub_renews_itself_is_a_remark_and_the_rest_a_fault(folder: Path) -> None:
    found = examine(folder, age("targets", "timestamp"))
    assert found == "expired while the hub was stopped, signed at its start: timestamp, targets"
    database = Database.in_folder(folder)
    with database.read() as connection:
        (targets,) = stored.load(connection).root.roles["targets"].keyids
    database.close()
    (folder / "trust" / f"{targets}.pem").unlink()  # as in offline mode
    assert "targets has expired at 2020-01-01" in examine(folder)


def test_a_database_before_the_first_start_has_none_yet(tmp_path: Path) -> None:
    assert "makes it at its start" in examine(tmp_path)


def start(folder: Path, change: Callable[[Connection], object]) -> None:
    """Begin to sign, as a hub does at its start; a hub that does not start changes nothing."""
    database = Database.in_folder(folder)
    with database.write() as connection:
        change(connection)
        before = connection.execute(select(schema.trust_metadata)).all()
    try:
        TrustRepository(database, KEYS)
    except StorageError:
        with database.read() as connection:
            assert connection.execute(select(schema.trust_metadata)).all() == before
        raise
    finally:
        database.close()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (remove("targets"), "targets of the signed metadata is missing"),
        (remove("root"), "root of the signed metadata is missing"),
        (replace("targets", b"{half"), r"targets \d+ of the signed metadata is damaged"),
        (replace("timestamp", b"\xff"), r"timestamp \d+ of the signed metadata is damaged"),
    ],
)
def test_a_hub_that_lost_metadata_does_not_start_and_says_what_to_do(
    folder: Path, change: Callable[[Connection], object], said: str
) -> None:
    """New metadata in its place would be refused by every node, or put them into simple mode."""
    with pytest.raises(StorageError, match=f"{said}.*gnomon hub restore"):
        start(folder, change)


@pytest.mark.parametrize("role", ["snapshot", "timestamp"])
def test_a_hub_signs_what_only_follows_from_the_rest_again(folder: Path, role: str) -> None:
    start(folder, remove(role))
    assert examine(folder) == ""


def test_a_damaged_file_of_the_epoch_is_named(folder: Path) -> None:
    (folder / "epoch").write_text("x")
    assert "holds no number, but 'x'" in examine(folder)
    with pytest.raises(StorageError, match="holds no number"):
        start(folder, lambda connection: None)
