"""The files of a dataset: their names, sizes and contents, and a fingerprint of all of them.

Contents are read again only if size, times or inode differ from what a cache remembers. A file
that changed within two seconds of being read is not remembered: a second change could leave the
same times. The fingerprint `files-1` is the SHA-256 of the sorted names and content hashes, so
copies of a folder have the same fingerprint in any place.
"""

import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from gnomon.pipeline.datasets.file_cache import FileCache, Stamp
from gnomon.pipeline.datasets.file_hashes import hash_files
from gnomon.pipeline.datasets.row_encoding import DatasetError

__all__ = ["DatasetFile", "files_fingerprint", "index_files", "list_folder"]

SCHEME = "files-1"
_FRESH_NS = 2_000_000_000
#: What SQLite's integers hold.
_INODE = (1 << 63) - 1


class DatasetFile(msgspec.Struct, frozen=True, array_like=True):
    """One file: its path under the dataset's folder, its size in bytes, its content hash in hex.

    See `gnomon.pipeline.datasets.file_hashes` for the hash.
    """

    path: str
    size: int
    hash: str


@dataclass(frozen=True, slots=True)
class _FoundFile:
    path: str
    name: str
    stamp: Stamp


def index_files(
    files: Sequence[tuple[str, str]], cache: FileCache | None = None, workers: int = 1
) -> tuple[DatasetFile, ...]:
    """Return an entry for each file, given by its absolute path and its name in the dataset.

    They are in the order of their names.

    Raises:
        DatasetError: a file cannot be read, is no regular file, or changes while it is read.
    """
    now = time.time_ns()
    try:
        found = [_stat_file(path, name) for path, name in files]
        known = (
            cache.read(os.path.commonpath([one.path for one in found])) if cache and found else {}
        )
        digests = {one.path: known[one.path][1] for one in found if _is_known(one, known)}
        new = [one for one in found if one.path not in digests]
        hashed = hash_files([(one.path, one.stamp.size) for one in new], workers)
        digests |= dict(zip((one.path for one in new), hashed, strict=True))
    except OSError as error:
        raise DatasetError(f"a file of the dataset cannot be read: {error}") from error
    if cache is not None:
        cache.write(
            (one.path, one.stamp, digests[one.path])
            for one in new
            if max(one.stamp.modified_ns, one.stamp.changed_ns) < now - _FRESH_NS
        )
    entries = [DatasetFile(one.name, one.stamp.size, digests[one.path].hex()) for one in found]
    return tuple(sorted(entries, key=lambda entry: _bytes(entry.path)))


def list_folder(folder: Path) -> list[tuple[str, str]]:
    """Return all files under a folder with their names in it, folders divided by `/`.

    Raises:
        DatasetError: there is no such folder, or something in it is no plain file.
    """
    try:
        return list(_walk(os.fspath(folder), ""))
    except OSError as error:
        raise DatasetError(f"{folder} cannot be read: {error}") from error


def files_fingerprint(entries: Sequence[DatasetFile]) -> str:
    """Return `files-1:` and 64 hexadecimal digits for these files."""
    total = hashlib.sha256(len(entries).to_bytes(8, "little"))
    for entry in sorted(entries, key=lambda entry: _bytes(entry.path)):
        name = _bytes(entry.path)
        total.update(len(name).to_bytes(8, "little") + name + bytes.fromhex(entry.hash))
    return f"{SCHEME}:{total.hexdigest()}"


def _walk(folder: str, prefix: str) -> Iterator[tuple[str, str]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(entry.path, f"{prefix}{entry.name}/")
            elif entry.is_file(follow_symlinks=False):
                yield entry.path, prefix + entry.name
            else:
                raise DatasetError(
                    f"{entry.path} is a link or a device; a dataset is made of plain files"
                )


def _stat_file(path: str, name: str) -> _FoundFile:
    found = os.stat(path)  # noqa: PTH116 (there may be a million: a Path for each takes its time)
    stamp = Stamp(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino & _INODE)
    return _FoundFile(path, name, stamp)


def _is_known(one: _FoundFile, known: dict[str, tuple[Stamp, bytes]]) -> bool:
    return one.path in known and known[one.path][0] == one.stamp


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")
