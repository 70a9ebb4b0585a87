"""The packages on a node's disk: each in a folder named by its digest, installed atomically.

A package arrives as its manifest and its chunks, each named by its SHA-256. A chunk that is already
here, from an interrupted download or in another package, is not fetched again; so resume and delta
are the same thing. A package gets its folder only after all of it has been verified.
"""

import contextlib
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gnomon.runtime.errors import PackageError, StorageError
from gnomon.runtime.files import sync_folder, write_synced
from gnomon.runtime.packages import layout
from gnomon.runtime.packages.chunks import sha256
from gnomon.runtime.packages.manifest import CHUNK_BYTES, FileEntry, Manifest, decode_manifest
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.signing import TrustStore

_DIGEST = re.compile(r"^[0-9a-f]{64}$")


@dataclass(frozen=True, slots=True)
class _ChunkSource:
    """The place of a chunk within an installed package."""

    path: Path
    offset: int

    def read(self) -> bytes:
        with self.path.open("rb") as file:
            file.seek(self.offset)
            return file.read(CHUNK_BYTES)


class Slots:
    """The packages and chunks on a node's disk; for one thread."""

    def __init__(self, folder: Path) -> None:
        """Open the folder and remove what a crash left incomplete, if the disk can be written.

        Raises:
            StorageError: the folder cannot be made.
        """
        self._packages = folder / "packages"
        self._blobs = folder / "blobs"
        try:
            for path in (self._packages, self._blobs):
                path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"the slots {folder} cannot be used: {error}") from error
        for left in (*self._packages.glob(".*"), *self._blobs.glob(".*")):
            with contextlib.suppress(OSError):  # packages can be opened without
                _remove(left)

    def installed(self) -> frozenset[str]:
        """Return the digests of the installed packages."""
        return frozenset(p.name for p in self._packages.iterdir() if _DIGEST.match(p.name))

    def open(self, digest: str, trust: TrustStore | None) -> Package:
        """Verify an installed package again and return it.

        Raises:
            PackageError: it is not installed, was changed, or is not trusted.
        """
        if digest not in self.installed():
            raise PackageError(f"package {digest[:16]} is not installed on this node")
        package = Package.open(self._packages / digest, trust)
        if package.digest != digest:
            raise PackageError(
                f"the slot of package {digest[:16]} holds {package.digest[:16]} instead"
            )
        return package

    def put(self, digest: str, data: bytes) -> None:
        """Store a blob, a manifest or a chunk, after checking its hash.

        Raises:
            PackageError: the data has another hash.
            StorageError: the disk cannot be written.
        """
        if not _DIGEST.match(digest) or sha256(data) != digest:
            raise PackageError(
                f"blob hash mismatch: expected SHA-256 {digest[:64]!r}, got {sha256(data)!r}"
            )
        temporary = self._blobs / f".{digest}"
        try:
            temporary.write_bytes(data)
            temporary.replace(self._blobs / digest)
        except OSError as error:
            raise StorageError(f"cannot write blob to {self._blobs}: {error}") from error

    def manifest(self, digest: str) -> Manifest | None:
        """Return the package's manifest, installed or fetched; None if it has not been fetched yet.

        Raises:
            PackageError: the manifest is not valid or its file names are not safe.
        """
        data = self._manifest_bytes(digest)
        if data is None:
            return None
        manifest = decode_manifest(data)
        layout.check_entries(manifest)
        _check_chunks(manifest)
        return manifest

    def missing(self, manifest: Manifest) -> list[str]:
        """Return the hashes of the chunks that this node lacks, each once.

        Raises:
            StorageError: the disk has no space for the package.
        """
        sources = self._chunk_sources()
        wanted = dict.fromkeys(chunk for entry in manifest.files for chunk in entry.chunks)
        missing = [chunk for chunk in wanted if self._chunk(chunk, sources) is None]
        total = sum(entry.size for entry in manifest.files)
        needed = total + min(total, len(missing) * CHUNK_BYTES)
        free = shutil.disk_usage(self._packages).free
        if missing and free < needed:
            raise StorageError(
                f"{manifest.reference} needs {needed} bytes on disk, {free} are free",
                details=[{"needed_bytes": needed, "free_bytes": free}],
            )
        return missing

    def install(self, digest: str, envelopes: Sequence[bytes], trust: TrustStore) -> Package:
        """Assemble a package from its blobs, verify all of it, and give it its slot.

        Raises:
            PackageError: a blob is missing, or the result is not a trusted package.
            StorageError: the disk cannot be written.
        """
        if digest in self.installed():
            return self.open(digest, trust)
        trust.verify(digest, envelopes)
        manifest = self.manifest(digest)
        data = self._manifest_bytes(digest)
        if manifest is None or data is None:
            raise PackageError(f"the manifest of package {digest[:16]} has not been fetched")
        temporary = self._packages / f".{digest}"
        try:
            _remove(temporary)
            self._assemble(temporary, manifest, data, envelopes)
            package = Package.open(temporary, trust)
            if package.digest != digest:
                raise PackageError(
                    f"package hash mismatch: expected {digest[:16]}, got {package.digest[:16]}"
                )
            temporary.rename(self._packages / digest)
            sync_folder(self._packages)
        except OSError as error:
            raise StorageError(f"{manifest.reference} cannot be installed: {error}") from error
        finally:
            _remove(temporary)
        return self.open(digest, trust)

    def discard(self, digest: str) -> None:
        """Remove an installed package, such as one that no longer verifies.

        Raises:
            StorageError: the disk cannot be written.
        """
        try:
            _remove(self._packages / digest)
        except OSError as error:
            raise StorageError(f"package {digest[:16]} cannot be removed: {error}") from error

    def collect(self, keep: Iterable[str]) -> list[str]:
        """Remove all packages but those in `keep`, and all loose blobs; return removed digests.

        Raises:
            StorageError: the disk cannot be written.
        """
        surplus = sorted(self.installed() - set(keep))
        for digest in surplus:
            self.discard(digest)
        try:
            for blob in self._blobs.iterdir():
                blob.unlink()
        except OSError as error:
            raise StorageError(f"cannot remove blobs from {self._blobs}: {error}") from error
        return surplus

    def _manifest_bytes(self, digest: str) -> bytes | None:
        for path in (self._packages / digest / layout.MANIFEST, self._blobs / digest):
            if path.is_file() and sha256(data := path.read_bytes()) == digest:
                return data
        return None

    def _chunk_sources(self) -> dict[str, _ChunkSource]:
        sources: dict[str, _ChunkSource] = {}
        for digest in sorted(self.installed()):
            try:
                manifest = self.manifest(digest)
            except PackageError:
                continue  # a damaged slot has no valid chunks
            for entry in manifest.files if manifest else ():
                path = self._packages / digest / entry.path
                for number, chunk in enumerate(entry.chunks):
                    sources[chunk] = _ChunkSource(path, number * CHUNK_BYTES)
        return sources

    def _chunk(self, chunk: str, sources: dict[str, _ChunkSource]) -> bytes | None:
        """Return the chunk's bytes from any intact copy on this node."""
        loose = self._blobs / chunk
        if loose.is_file():
            if sha256(data := loose.read_bytes()) == chunk:
                return data
            loose.unlink()
        place = sources.get(chunk)
        if place is not None and place.path.is_file() and sha256(data := place.read()) == chunk:
            return data
        return None

    def _assemble(
        self, root: Path, manifest: Manifest, manifest_bytes: bytes, envelopes: Sequence[bytes]
    ) -> None:
        sources = self._chunk_sources()
        root.mkdir()
        for entry in manifest.files:
            (root / entry.path).parent.mkdir(parents=True, exist_ok=True)
            with (root / entry.path).open("xb") as file:
                for data in self._chunks(manifest, entry, sources):
                    file.write(data)
                file.flush()
                os.fsync(file.fileno())
        (root / layout.ATTESTATIONS).mkdir()
        for envelope in envelopes:
            write_synced(root / layout.ATTESTATIONS / f"{sha256(envelope)[:32]}.json", envelope)
        write_synced(root / layout.MANIFEST, manifest_bytes)
        for folder in sorted((p for p in root.rglob("*") if p.is_dir()), reverse=True):
            sync_folder(folder)
        sync_folder(root)

    def _chunks(
        self, manifest: Manifest, entry: FileEntry, sources: dict[str, _ChunkSource]
    ) -> Iterator[bytes]:
        for chunk in entry.chunks:
            data = self._chunk(chunk, sources)
            if data is None:
                raise PackageError(
                    f"{manifest.reference}: chunk {chunk[:16]} of {entry.path} is missing"
                )
            yield data


def _check_chunks(manifest: Manifest) -> None:
    """Raise PackageError unless the number of chunks of each file fits its size."""
    for entry in manifest.files:
        expected = -(-entry.size // CHUNK_BYTES)
        if len(entry.chunks) != expected or not all(_DIGEST.match(c) for c in entry.chunks):
            raise PackageError(
                f"{manifest.reference}: {entry.path} of {entry.size} bytes must have {expected} "
                f"chunks, each named by its SHA-256; the manifest names {len(entry.chunks)}"
            )


def _remove(path: Path) -> None:
    """Remove a file or folder so that it is gone from its name at once."""
    if path.is_dir() and not path.is_symlink():
        hidden = path.with_name(f".{path.name.lstrip('.')}.gone")
        shutil.rmtree(hidden, ignore_errors=True)
        path.rename(hidden)
        shutil.rmtree(hidden)
    else:
        path.unlink(missing_ok=True)
