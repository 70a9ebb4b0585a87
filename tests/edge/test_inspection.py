"""Damage in a data folder is named with what to do, whoever runs, and nothing is changed."""

import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gnomon.edge.inspection import find_damage, find_reported, holder_of
from gnomon.edge.status_file import STATUS_FILE, read_status_file, write_status_file
from gnomon.edge.telemetry.frames import Frame
from gnomon.runtime.enrolment.identity import IdentityFolder
from gnomon.runtime.lock import FolderLock
from gnomon.runtime.packages.signing import Signer
from gnomon.runtime.state_file import seal
from tests.support.packages import make_package


@pytest.fixture
def folder(tmp_path: Path, signer: Signer) -> Path:
    """A data folder as a node leaves it, as far as it is looked at."""
    folder = tmp_path / "node"
    package = make_package(tmp_path / "eta-1", signer)
    shutil.copytree(package.path, folder / "slots" / "packages" / package.digest)
    IdentityFolder(folder / "identity").key()
    (folder / "spool").mkdir()
    folder.chmod(0o700)
    (folder / "sync.json").write_bytes(seal(b"{}"))
    return folder


def content(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def damage_package(folder: Path) -> None:
    (model,) = folder.rglob("model.onnx")
    model.write_bytes(model.read_bytes()[:-1] + b"!")


def put_another_package(folder: Path) -> None:
    (package,) = (folder / "slots" / "packages").iterdir()
    package.rename(package.with_name("f" * 64))


def damage_segment(folder: Path) -> None:
    frames = b"".join(Frame(number, False, b"w" * 50).encode() for number in (1, 2, 3))
    data = frames[:80] + b"?" + frames[81:]
    (folder / f"spool/00000001-{'a' * 12}.{1:020d}.segment").write_bytes(data)


DAMAGES: dict[str, Any] = {
    "sync.json": lambda folder: (folder / "sync.json").write_bytes(b"{]"),
    "metadata.json": lambda folder: (folder / "metadata.json").write_bytes(b"\0" * 90),
    "audit.json": lambda folder: (folder / "audit.json").write_bytes(b"[]"),
    "trust.json": lambda folder: (folder / "trust.json").write_bytes(b"x"),
    "identity.json": lambda folder: (folder / "identity/identity.json").write_bytes(b"x"),
    "an installed package is damaged": damage_package,
    "it holds package": put_another_package,
    "damaged places": damage_segment,
    "other users": lambda folder: folder.chmod(0o755),
    "there is no such folder": shutil.rmtree,
}


@pytest.mark.parametrize("named", DAMAGES)
def test_each_damage_is_named_with_what_to_do(folder: Path, named: str) -> None:
    assert find_damage(folder) == []
    DAMAGES[named](folder)
    before = content(folder)
    (found,) = find_damage(folder)
    assert named in f"{found.where} {found.problem}"
    assert found.remedy
    assert content(folder) == before


@pytest.mark.parametrize(
    ("free", "flags", "named"), [(100, 0, "full"), (10**9, os.ST_RDONLY, "read-only")]
)
def test_a_disk_that_takes_nothing_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, free: int, flags: int, named: str
) -> None:
    disk = SimpleNamespace(f_bavail=free, f_frsize=1, f_files=9, f_favail=9, f_flag=flags)
    monkeypatch.setattr(os, "statvfs", lambda _: disk)
    (found,) = find_damage(folder)
    assert named in found.problem


def test_what_the_status_says_is_named() -> None:
    status = {
        "refused": {"eta@2": "WARM: golden samples differ"},
        "reason": "WARM: golden samples differ",
        "stalled": ["node-sync"],
        "last_error": "the hub cannot be reached",
        "warnings": ["this machine's clock is 7200 s behind the hub's"],
    }
    found = find_reported(Path("data"), status)
    assert [one.where for one in found] == ["eta@2", "process", "hub", "data"]
    assert "golden" in found[0].problem
    assert all(one.remedy for one in found)
    assert find_reported(Path("data"), {"warnings": []}) == []
    (found_reason, *_) = find_reported(Path("data"), {"warnings": [], "reason": "CHECK: why"})
    assert found_reason.problem == "CHECK: why"


@pytest.mark.parametrize(("is_enrolled", "advice"), [(False, "another token"), (True, "address")])
def test_an_enrolment_that_is_refused_needs_another_token(is_enrolled: bool, advice: str) -> None:
    status = {
        "last_error": "the token is not known here",
        "is_enrolled": is_enrolled,
        "spool": {},
        "warnings": [],
    }
    (found,) = find_reported(Path("data"), status)
    assert advice in found.remedy


def test_the_process_that_holds_the_folder_is_known(tmp_path: Path) -> None:
    assert holder_of(tmp_path) is None
    lock = FolderLock(tmp_path)
    assert holder_of(tmp_path) is not None
    lock.release()
    assert holder_of(tmp_path) is None


def test_a_status_is_overwritten_in_place_and_read_whole(tmp_path: Path) -> None:
    assert read_status_file(tmp_path) is None
    write_status_file(tmp_path, {"name": "n", "text": "x" * 40_000})
    path = tmp_path / STATUS_FILE
    inode = path.stat().st_ino
    assert path.stat().st_mode & 0o777 == 0o600
    write_status_file(tmp_path, {"name": "n", "text": "short"})
    assert read_status_file(tmp_path) == {"name": "n", "text": "short"}
    assert path.stat().st_ino == inode
    assert path.stat().st_size % 4096 == 0


@pytest.mark.parametrize("data", [b"", b"{}", b"\0" * 100, seal(b"[1]"), seal(b"{}")[:-3]])
def test_a_status_that_is_not_whole_is_no_status(tmp_path: Path, data: bytes) -> None:
    (tmp_path / STATUS_FILE).write_bytes(data)
    assert read_status_file(tmp_path) is None
