"""The layout of a package on disk: the plain files that its manifest names, and no others.

Names match a pattern, so that no name can leave the folder; links and devices are refused, so that
no file can stand for another; sizes are limited before anything is read.
"""

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from gnomon.runtime.errors import PackageError
from gnomon.runtime.packages import chunks
from gnomon.runtime.packages.manifest import FileEntry, Manifest

MANIFEST = "manifest.json"
PROFILE = "profile.json"
GOLDEN = "golden.json"
ATTESTATIONS = "attestations"

#: Limits, in bytes and in files, that hold before anything is believed.
MANIFEST_LIMIT = 4 * 1024**2
ATTESTATION_LIMIT = 256 * 1024
PACKAGE_LIMIT = 8 * 1024**3
TEXT_LIMIT = 64 * 1024**2
FILES_LIMIT = 1_000
DEPTH_LIMIT = 8

PATH_PATTERN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}(/[A-Za-z0-9_][A-Za-z0-9._-]{0,127})*")
_ATTESTATION_PATTERN = re.compile(ATTESTATIONS + r"/[A-Za-z0-9_][A-Za-z0-9._-]{0,127}\.json")


def list_files(root: Path) -> dict[str, int]:
    """Return the size of each file under a package's folder by its relative path.

    Raises:
        PackageError: if something is not a plain file or folder, or there are too many.
    """
    try:
        if not stat.S_ISDIR(root.lstat().st_mode):
            raise PackageError(f"{root} is not a folder; a package is one")
        found: dict[str, int] = {}
        _walk(root, "", found)
    except OSError as error:
        raise PackageError(f"package {root} cannot be read: {error}") from error
    if MANIFEST not in found:
        raise PackageError(f"package {root} has no {MANIFEST}")
    return found


def _walk(folder: Path, prefix: str, found: dict[str, int]) -> None:
    with os.scandir(folder) as entries:
        for entry in entries:
            path = prefix + entry.name
            mode = entry.stat(follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode) and path.count("/") < DEPTH_LIMIT:
                _walk(Path(entry.path), path + "/", found)
            elif stat.S_ISREG(mode):
                found[path] = entry.stat(follow_symlinks=False).st_size
            else:
                raise PackageError(
                    f"{path[:200]!r} is a link, a device or too deep; "
                    "a package holds plain files only"
                )
            if len(found) > FILES_LIMIT:
                raise PackageError(f"the package holds more than {FILES_LIMIT} files")


def open_file(root: Path, path: str) -> BinaryIO:
    """Open a package's file for reading, refusing to follow a link.

    Raises:
        PackageError: if it is missing, a link, or unreadable.
    """
    try:
        descriptor = os.open(root / path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except OSError as error:
        raise PackageError(f"{path} of the package {root} cannot be opened: {error}") from error
    return os.fdopen(descriptor, "rb")


def read_limited(root: Path, path: str, limit: int) -> bytes:
    """Return the bytes of a file.

    Raises:
        PackageError: if it is larger than `limit` bytes.
    """
    with open_file(root, path) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise PackageError(f"{path} of the package {root} is larger than {limit} bytes")
    return data


def read_attestations(root: Path, listing: Mapping[str, int]) -> tuple[bytes, ...]:
    """Return the envelopes beside a manifest, in order of their names."""
    return tuple(
        read_limited(root, path, ATTESTATION_LIMIT)
        for path in sorted(listing)
        if _ATTESTATION_PATTERN.fullmatch(path)
    )


def check_entries(manifest: Manifest) -> None:
    """Raise PackageError unless the manifest's files are all that a package needs, safely named."""
    where = manifest.reference
    names = [entry.path for entry in manifest.files]
    for name in names:
        if not PATH_PATTERN.fullmatch(name) or name.count("/") >= DEPTH_LIMIT:
            raise PackageError(
                f"{where}: file name {name[:200]!r} is not a plain relative path "
                f"of at most {DEPTH_LIMIT} parts (expected to match {PATH_PATTERN.pattern})"
            )
        if name.casefold() == MANIFEST or name.casefold().split("/")[0] == ATTESTATIONS:
            raise PackageError(f"{where}: the name {name!r} is kept for what speaks of the files")
    if len({name.casefold() for name in names}) != len(names):
        raise PackageError(f"{where}: a file is named twice (upper and lower case are the same)")
    missing = {PROFILE, GOLDEN, manifest.model_file} - set(names)
    if missing:
        raise PackageError(f"{where}: the manifest does not name {', '.join(sorted(missing))}")
    total = sum(entry.size for entry in manifest.files)
    if total > PACKAGE_LIMIT or min(entry.size for entry in manifest.files) < 0:
        raise PackageError(f"{where}: {total} bytes of files; at most {PACKAGE_LIMIT} are allowed")


def check_listing(manifest: Manifest, listing: Mapping[str, int]) -> None:
    """Raise PackageError unless the files are just those that the manifest names, size by size."""
    check_entries(manifest)
    expected = {entry.path: entry.size for entry in manifest.files}
    present = {
        path: size
        for path, size in listing.items()
        if path != MANIFEST and not _ATTESTATION_PATTERN.fullmatch(path)
    }
    extra = sorted(set(present) - set(expected))
    missing = sorted(set(expected) - set(present))
    if extra or missing:
        raise PackageError(
            f"{manifest.reference}: files that the manifest does not name: {extra}; "
            f"files that it names and that are not there: {missing}"
        )
    for path, size in expected.items():
        if present[path] != size:
            raise PackageError(
                f"{manifest.reference}: {path} has {present[path]} bytes, expected {size}"
            )


def verify_file(root: Path, manifest: Manifest, entry: FileEntry) -> None:
    """Raise PackageError unless a file's bytes are those that the manifest names."""
    with open_file(root, entry.path) as file:
        _compare(manifest, entry, chunks.describe(entry.path, chunks.read_chunks(file)))


def read_verified(root: Path, manifest: Manifest, path: str) -> bytes:
    """Return a file's bytes after holding these very bytes against the manifest.

    Raises:
        PackageError: if they differ, or the manifest has no such file.
    """
    entry = next((entry for entry in manifest.files if entry.path == path), None)
    if entry is None:
        raise PackageError(f"{manifest.reference} has no file {path!r}")
    if path in (PROFILE, GOLDEN) and entry.size > TEXT_LIMIT:
        raise PackageError(f"{manifest.reference}: {path} is larger than {TEXT_LIMIT} bytes")
    data = read_limited(root, path, entry.size)
    _compare(manifest, entry, chunks.describe(path, chunks.split(data)))
    return data


def _compare(manifest: Manifest, expected: FileEntry, actual: FileEntry) -> None:
    if actual != expected:
        raise PackageError(
            f"{manifest.reference}: {expected.path} is not what was built: expected "
            f"{expected.size} bytes with SHA-256 {expected.sha256}, got {actual.size} bytes "
            f"with SHA-256 {actual.sha256}"
            + ("" if actual.sha256 != expected.sha256 else ", whose chunk hashes differ")
        )
