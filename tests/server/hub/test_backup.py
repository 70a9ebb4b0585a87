"""A hub's state is kept while it runs, brought back elsewhere, and examined."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import obstore
import pytest
from click.testing import CliRunner, Result
from obstore.store import from_url
from sqlalchemy import update

from gnomon.command.root import root
from gnomon.runtime.errors import ConfigurationError, StorageError
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.signing import Signer
from gnomon.server.hub.backup import backup
from gnomon.server.hub.process import Hub
from gnomon.server.hub.settings import HubSettings
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.database import Database
from tests.support.packages import make_package

Make = Callable[..., Package]


def hub_command(folder: Path, *arguments: str) -> Result:
    line = ["hub", *arguments, "--data-folder", str(folder), "--json"]
    return CliRunner().invoke(root, line, obj=None, standalone_mode=False)


def faults(result: Result) -> list[str]:
    return [fault for finding in json.loads(result.output) for fault in finding["faults"]]


def blob_files(folder: Path) -> list[Path]:
    return sorted((folder / "blobs").glob("??/*"))


@pytest.fixture
def published(builder: Any, caller: Any, make: Make) -> Package:
    package = make()
    builder.publish(package)
    caller.post("placements", model="eta", version="1")
    return package


def test_a_hub_continues_from_a_backup_taken_while_it_ran(
    hub: Hub,
    settings: HubSettings,
    caller: Any,
    caller_of: Any,
    fresh_key: Any,
    published: Package,
    tmp_path: Path,
) -> None:
    token, key = caller.token("node", "device-1"), fresh_key()
    answer = caller.stranger(token).enrol(token["token"], key, "device-1")
    taken = hub_command(settings.data_folder, "backup", str(tmp_path / "saved"))
    assert (taken.exit_code, faults(taken)) == (0, []), taken.output
    caller.post("models/eta/aliases", alias="later", version="1")

    folder = tmp_path / "elsewhere"
    restored = hub_command(folder, "restore", str(tmp_path / "saved"))
    assert (restored.exit_code, faults(restored)) == (0, []), restored.output
    other = Hub(dataclasses.replace(settings, data_folder=folder))
    other.start()
    try:
        assert other.addresses.fingerprint == hub.addresses.fingerprint
        there = caller_of(other.addresses)
        node = there.known(answer.authority, key, answer.certificate)
        wanted = node.exchange(facts={"engines": "onnx"}).desired
        assert [package.digest for package in wanted.packages] == [published.digest]
        blobs = dict(published.iter_blobs())
        assert node.blobs(*blobs) == list(blobs.values())
        assert there.get("models/eta/aliases") == {"champion": "1"}
        assert there.get("audit/verify")["intact"]
    finally:
        other.stop()


def test_a_hub_keeps_content_in_s3_and_continues_from_a_folder(
    settings: HubSettings, s3_url: str, caller_of: Any, tmp_path: Path
) -> None:
    """Published to S3, backed up to a folder, restored to another bucket's prefix and served."""
    hub = Hub(dataclasses.replace(settings, blob_url=s3_url))
    hub.start()
    try:
        caller, signer = caller_of(hub.addresses), Signer.generate()
        caller.post("keys", key=signer.public_key.hex())
        package = make_package(tmp_path / "package", signer, version="1")
        caller.enrol("builder", "ada").publish(package)
        blobs = dict(package.iter_blobs())
        assert caller.enrol("builder", "reader").blobs(*blobs) == list(blobs.values())
        assert blob_files(settings.data_folder) == []
        line = ("--blob-url", s3_url)
        examined = hub_command(settings.data_folder, "doctor", *line)
        assert (examined.return_value, faults(examined)) == (0, [])
        taken = hub_command(settings.data_folder, "backup", str(tmp_path / "saved"), *line)
        assert taken.exit_code == 0, taken.output
        obstore.delete(from_url(s3_url), f"{package.digest[:2]}/{package.digest}")
        examined = hub_command(settings.data_folder, "doctor", *line)
        assert faults(examined) == [f"the hub has no blob {package.digest}"]
    finally:
        hub.stop()
    assert len(blob_files(tmp_path / "saved")) == len(blobs)
    line = ("--blob-url", f"{s3_url}-again")
    restored = hub_command(tmp_path / "elsewhere", "restore", str(tmp_path / "saved"), *line)
    assert (restored.exit_code, faults(restored)) == (0, []), restored.output
    assert blob_files(tmp_path / "elsewhere") == []


def test_the_doctor_finds_a_hub_sound(
    settings: HubSettings, published: Package, tmp_path: Path
) -> None:
    orphan = settings.data_folder / "blobs" / "ab" / ("ab" + "0" * 62)
    orphan.parent.mkdir(exist_ok=True)
    orphan.write_bytes(b"cut off")
    examined = hub_command(settings.data_folder, "doctor")
    assert examined.return_value == 0
    assert {one["check"]: one["examined"] > 0 for one in json.loads(examined.output)} == {
        "database": True,
        "audit chain": True,
        "content": True,
        "versions": True,
        "in service": True,
        "authority": True,
        "signed metadata": True,
    }
    assert "1 more that nothing names" in examined.output


def test_the_doctor_finds_what_is_wrong(settings: HubSettings, published: Package) -> None:
    changed, lost = blob_files(settings.data_folder)[:2]
    changed.write_bytes(b"changed")
    lost.unlink()
    database = Database.in_folder(settings.data_folder)
    with database.write() as connection:
        connection.execute(
            update(schema.audit).where(schema.audit.c.sequence == 2).values(actor="eve")
        )
        connection.execute(schema.blob.delete().where(schema.blob.c.digest == lost.name))
    database.close()
    examined = hub_command(settings.data_folder, "doctor")
    assert examined.return_value == 1
    assert faults(examined) == [
        "record 2: was changed after it was written",
        f"blob {changed.name} is damaged in the hub's store: its content changed",
        f"eta@1 (onnx) lacks content: {lost.name}",
    ]


def test_of_a_damaged_hub_there_is_no_backup(
    settings: HubSettings, published: Package, tmp_path: Path
) -> None:
    blob_files(settings.data_folder)[0].write_bytes(b"changed")
    with pytest.raises(StorageError, match="damaged"):
        backup(settings.data_folder, tmp_path / "saved")
    assert [path.name for path in tmp_path.iterdir() if "saved" in path.name] == []


def test_nothing_is_overwritten(settings: HubSettings, first_start: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="exists"):
        backup(settings.data_folder, tmp_path)
    result = hub_command(settings.data_folder, "restore", str(first_start))
    assert isinstance(result.exception, ConfigurationError)
    result = hub_command(settings.data_folder, "restore", str(tmp_path))
    assert "no backup of a hub" in str(result.exception)
    result = hub_command(tmp_path / "none", "doctor")
    assert "no data folder" in str(result.exception)
