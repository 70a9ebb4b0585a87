"""Files of state survive damage, crashes between two calls, and disks that fail."""

import errno
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.runtime.errors import StorageError
from gnomon.runtime.state_file import StateFile, seal, unseal
from tests.support.failing_disk import FailingDisk


def state_file(folder: Path) -> "StateFile[list[int]]":
    return StateFile(folder / "state.json", json.loads)


@given(st.binary(max_size=80), st.data())
def test_a_seal_shows_every_change_of_a_byte(data: bytes, drawn: st.DataObject) -> None:
    sealed = bytearray(seal(data))
    assert unseal(bytes(sealed)) == data
    place = drawn.draw(st.integers(0, len(sealed) - 1))
    sealed[place] ^= drawn.draw(st.integers(1, 255))
    try:
        changed = unseal(bytes(sealed))
    except ValueError:
        return
    assert changed == bytes(sealed)  # no seal any more: what decodes the data refuses its remains


@pytest.mark.parametrize("content", [b"", b"[1", b"\x00" * 90, seal(b"[9]")[:-3] + b"0\n\n"])
@pytest.mark.parametrize("writes", [1, 2, 3])
def test_a_damaged_file_is_replaced_by_its_previous_copy(
    tmp_path: Path, content: bytes, writes: int
) -> None:
    file = state_file(tmp_path)
    assert file.read() is None
    for number in range(writes):
        file.write(json.dumps([number]).encode())
    (tmp_path / "state.json").write_bytes(content)
    again = state_file(tmp_path)
    assert again.read() == [max(0, writes - 2)]
    assert "state.json is damaged" in again.damage
    again.write(b"[7]")  # the damaged file does not replace the previous copy
    assert state_file(tmp_path).read() == [7]
    (tmp_path / "state.json").write_bytes(content)
    assert state_file(tmp_path).read() == [max(0, writes - 2)]


def test_a_file_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_bytes(b"[1,2]")
    file = state_file(tmp_path)
    assert (file.read(), file.damage) == ([1, 2], "")
    (tmp_path / "state.json").write_bytes(b"[1,")
    assert file.read() is None
    assert "there is no sound copy" in file.damage


@pytest.mark.parametrize("error", [errno.EROFS, errno.ENOSPC])
def test_a_disk_that_fails_leaves_the_state_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    file = state_file(tmp_path)
    file.write(b"[1]")
    disk = FailingDisk(tmp_path, error, monkeypatch)
    with pytest.raises(StorageError, match=r"state\.json cannot be written"):
        file.write(b"[2]")
    assert state_file(tmp_path).read() == [1]
    disk.mend()
    file.write(b"[3]")
    assert state_file(tmp_path).read() == [3]
