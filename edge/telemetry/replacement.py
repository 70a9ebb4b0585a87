"""Replaces several files of a folder by others as one change: after a crash, all of it or nothing.

The new contents are written under temporary names, then a journal that names what is to be renamed
and removed; the journal is the moment of the change. Opening the folder completes it.
"""

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from gnomon.runtime.decoding import UNDECODABLE
from gnomon.runtime.files import sync_folder, write_durably, write_synced
from gnomon.runtime.state_file import seal, unseal

_JOURNAL = "replacement"


class _Journal(msgspec.Struct, frozen=True):
    """Names of files: temporary by final name, and those to remove."""

    renamed: dict[str, str]
    removed: tuple[str, ...]


def replace_files(folder: Path, contents: Mapping[str, bytes], removed: Sequence[str]) -> None:
    """Write files and remove others as one change.

    Args:
        folder: of the files.
        contents: bytes by name; a file of that name is replaced.
        removed: names of files to remove.

    Raises:
        OSError: the disk cannot be written; nothing was changed, or the change is completed later.
    """
    complete_replacement(folder)
    renamed = {f".{name}.merged": name for name in contents}
    try:
        for temporary, name in renamed.items():
            (folder / temporary).unlink(missing_ok=True)
            write_synced(folder / temporary, contents[name], mode=0o600)
        journal = msgspec.json.encode(_Journal(renamed, tuple(removed)))
        write_durably(folder / _JOURNAL, seal(journal), mode=0o600)
    except OSError:
        if not (folder / _JOURNAL).exists():
            for temporary in renamed:
                with contextlib.suppress(OSError):
                    (folder / temporary).unlink(missing_ok=True)
        raise
    complete_replacement(folder)


def complete_replacement(folder: Path) -> None:
    """Complete the change that a journal names, if there is one; raise OSError if that fails."""
    path = folder / _JOURNAL
    try:
        journal = msgspec.json.decode(unseal(path.read_bytes()), type=_Journal)
    except FileNotFoundError:
        return
    except (ValueError, *UNDECODABLE):
        path.unlink()
        return
    for temporary, name in journal.renamed.items():
        with contextlib.suppress(FileNotFoundError):  # renamed before the crash
            (folder / temporary).replace(folder / name)
    for name in journal.removed:
        (folder / name).unlink(missing_ok=True)
    sync_folder(folder)
    path.unlink()
