"""Bundles: what one hub hands to another on a disk or a stick. A folder, or a tar of that folder.

    bundle.json         packages with their attestations, names, tags, runs; the size of every blob
    bundle.dsse.json    a signature over the SHA-256 of bundle.json
    blobs/ab/ab12…      content, each file named by its SHA-256

A bundle is verified in this order: the signature over bundle.json by a trusted key, then each blob
by its digest. Files that bundle.json does not name are ignored.
"""

import io
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

import msgspec

from gnomon.runtime.decoding import UNDECODABLE
from gnomon.runtime.errors import PackageError, UntrustedPackage
from gnomon.runtime.packages.chunks import sha256
from gnomon.runtime.packages.signing import Signer, TrustStore
from gnomon.server.hub.store.blobs import MAXIMUM_BYTES, check_digest

__all__ = [
    "Bundle",
    "BundleReader",
    "BundledAlias",
    "BundledDecommission",
    "BundledPackage",
    "BundledTag",
    "Writer",
    "open_bundle",
    "read_blobs",
    "reading",
    "write_bundle",
    "writing",
]

PREDICATE_TYPE = "urn:gnomon:bundle:v1"

_INDEX = "bundle.json"
#: What a bundle is called where its signature names a model.
_SUBJECT = "bundle"
_SIGNATURE = "bundle.dsse.json"
_INDEX_BYTES = 256 << 20
_SIGNATURE_BYTES = 1 << 20


class _Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the bundle's records."""


class BundledPackage(_Record, frozen=True, kw_only=True):
    """A package: its name, and its attestations."""

    name: str
    version: str
    format: str
    digest: str
    publisher: str
    published_at: int  # Unix milliseconds
    envelopes: tuple[str, ...]


class BundledAlias(_Record, frozen=True, kw_only=True):
    """An alias of a version."""

    model: str
    alias: str
    version: str


class BundledTag(_Record, frozen=True, kw_only=True):
    """A tag of a version."""

    model: str
    version: str
    key: str
    value: str


class BundledDecommission(_Record, frozen=True, kw_only=True):
    """A version that is not to be rolled out any more."""

    model: str
    version: str
    reason: str


class Bundle(_Record, frozen=True, kw_only=True):
    """All that a bundle says; blobs by digest, with their sizes."""

    exported_at: int  # Unix milliseconds
    packages: tuple[BundledPackage, ...]
    aliases: tuple[BundledAlias, ...] = ()
    tags: tuple[BundledTag, ...] = ()
    runs: tuple[dict[str, Any], ...] = ()
    decommissioned: tuple[BundledDecommission, ...] = ()
    blobs: dict[str, int]
    gnomon: int = 1


class Writer(Protocol):
    """Takes a bundle's files, in any order."""

    def write(self, path: str, data: bytes) -> None:
        """Add one file."""


class BundleReader(Protocol):
    """Gives a bundle's files."""

    def read(self, path: str, limit: int) -> bytes:
        """Return one file; PackageError if it is missing or has more than `limit` bytes."""


def write_bundle(
    writer: Writer, bundle: Bundle, blobs: Iterable[tuple[str, bytes]], signer: Signer
) -> None:
    """Write a whole bundle, signed.

    Args:
        writer: of the folder or archive.
        bundle: what it holds.
        blobs: digest and bytes of each blob; read once, in order.
        signer: whose key signs the bundle.
    """
    for digest, data in blobs:
        writer.write(_path(digest), data)
    index = msgspec.json.encode(bundle, order="sorted")
    digest = sha256(index)
    writer.write(_INDEX, index)
    envelope = signer.sign_package(digest, _SUBJECT, "1", {}, PREDICATE_TYPE)
    writer.write(_SIGNATURE, envelope)


def open_bundle(reader: BundleReader, trust: TrustStore) -> Bundle:
    """Return what a bundle says, once a trusted key is known to have signed it.

    Raises:
        UntrustedPackage: no trusted key did.
        PackageError: it is no bundle.
    """
    index = reader.read(_INDEX, _INDEX_BYTES)
    digest = sha256(index)
    envelope = reader.read(_SIGNATURE, _SIGNATURE_BYTES)
    if not trust.statements(digest, [envelope], PREDICATE_TYPE, _SUBJECT):
        expected = ", ".join(one[:16] for one in trust.key_ids) or "none: no key is trusted here"
        raise UntrustedPackage(f"the bundle is not signed by a trusted key (expected: {expected})")
    try:
        return msgspec.json.decode(index, type=Bundle)
    except UNDECODABLE as error:
        raise PackageError(f"{_INDEX} is not valid: {error}") from error


def read_blobs(reader: BundleReader, digests: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Yield blobs one after the other; the caller verifies each as it stores them.

    Raises:
        PackageError: one is missing or too large.
    """
    for digest in digests:
        yield digest, reader.read(_path(check_digest(digest)), MAXIMUM_BYTES)


@contextmanager
def writing(path: Path) -> Iterator[Writer]:
    """Yield a writer of a new folder, or of a new tar file if the name ends in `.tar`."""
    if path.suffix != ".tar":
        path.mkdir(parents=True)
        yield _Folder(path)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "x:") as tar:
        yield _Tar(tar)


@contextmanager
def reading(path: Path) -> Iterator[BundleReader]:
    """Yield a reader of a folder or of a tar file.

    Raises:
        PackageError: the path is neither.
    """
    if path.is_dir():
        yield _Folder(path)
        return
    try:
        tar = tarfile.open(path, "r:")  # noqa: SIM115 (closed below)
    except (OSError, tarfile.TarError) as error:
        raise PackageError(f"{path} is no bundle: {error}") from error
    with tar:
        yield _Tar(tar)


class _Folder:
    """A bundle as a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def write(self, path: str, data: bytes) -> None:
        target = self._root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)

    def read(self, path: str, limit: int) -> bytes:
        target = self._root / path
        if target.is_symlink() or not target.is_file():
            raise PackageError(f"the bundle lacks {path}")
        with target.open("rb") as file:
            return _limited(file, path, limit)


class _Tar:
    """A bundle as a tar file; nothing of it is ever unpacked to disk."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self._members: dict[str, tarfile.TarInfo] | None = None

    def write(self, path: str, data: bytes) -> None:
        member = tarfile.TarInfo(path)
        member.size = len(data)
        member.mode = 0o644
        self._tar.addfile(member, io.BytesIO(data))

    def read(self, path: str, limit: int) -> bytes:
        if self._members is None:
            self._members = {one.name: one for one in self._tar.getmembers() if one.isreg()}
        member = self._members.get(path)
        file = self._tar.extractfile(member) if member is not None else None
        if file is None:
            raise PackageError(f"the bundle lacks {path}")
        with file:
            return _limited(file, path, limit)


def _limited(file: IO[bytes], path: str, limit: int) -> bytes:
    data = file.read(limit + 1)
    if len(data) > limit:
        raise PackageError(f"the bundle's {path} has more than the {limit} bytes that it may have")
    return data


def _path(digest: str) -> str:
    return f"blobs/{digest[:2]}/{digest}"
