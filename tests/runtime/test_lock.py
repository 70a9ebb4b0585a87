"""One process holds a folder, also on a disk that cannot be written; leftovers are cleared."""

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gnomon.runtime import lock
from gnomon.runtime.errors import StorageError
from gnomon.runtime.lock import FolderLock
from tests.support.failing_disk import FailingDisk


@pytest.mark.parametrize("has_file", [True, False])
def test_a_read_only_folder_is_held_by_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_file: bool
) -> None:
    if has_file:
        FolderLock(tmp_path).release()
    disk = FailingDisk(tmp_path, errno.EROFS, monkeypatch)
    held = FolderLock(tmp_path)
    with pytest.raises(StorageError, match="another process"):
        FolderLock(tmp_path)
    disk.mend()  # a process that can write meets the one that could not
    with pytest.raises(StorageError, match="another process"):
        FolderLock(tmp_path)
    held.release()
    FolderLock(tmp_path).release()


def test_temporaries_of_processes_that_ended_are_cleared(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True
    )
    pid = ended.stdout.strip()
    kept = (".state.json.1.new", "state.json", ".hidden")
    for name in (f".state.json.{pid}.new", f".state.json.{os.getpid()}.new", *kept):
        (tmp_path / name).write_bytes(b"x")
    FolderLock(tmp_path).release()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted((*kept, "lock"))


@pytest.mark.parametrize("mode", [None, 0o755, 0o777, 0o700])
def test_a_private_folder_is_closed_to_other_users(tmp_path: Path, mode: int | None) -> None:
    folder = tmp_path / "data"
    if mode is not None:
        folder.mkdir()
        folder.chmod(mode)
    umask = os.umask(0)
    try:
        FolderLock(folder, is_private=True).release()
    finally:
        os.umask(umask)
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_lock_that_a_killed_process_left_to_a_child_for_an_instant_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = FolderLock(tmp_path)
    tries = 0
    original = fcntl.flock

    def flock(descriptor: int, operation: int) -> None:
        nonlocal tries
        tries += 1
        if tries == 3:
            held.release()
        original(descriptor, operation)

    monkeypatch.setattr(lock, "_PATIENCE_SECONDS", 3_600)
    monkeypatch.setattr(fcntl, "flock", flock)
    FolderLock(tmp_path).release()
    assert tries == 4
