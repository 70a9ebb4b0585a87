"""Blobs: content of at most 1 MiB, named by its SHA-256, in an object store.

The store holds the bytes; the table `blob` says which of them are verified and durable. So a blob
exists only once its row is committed, and an interrupted put leaves nothing that is read.
"""

import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import LocalStore, ObjectStore, from_url

from gnomon.runtime.errors import ConfigurationError, InvalidInput, NotFound, StorageError
from gnomon.runtime.files import sync_folder
from gnomon.runtime.packages.chunks import sha256
from gnomon.server.hub.store import blob_rows, blob_sweeps
from gnomon.server.hub.store.database import Database

MAXIMUM_BYTES = 1024 * 1024

#: How many blobs are made durable together: 16 MiB of usual chunks.
_BATCH = 64

#: How many blobs are sent to a store elsewhere at the same time.
_AT_ONCE = 8

#: Written when a store elsewhere is opened, so that a wrong bucket or key is reported at once.
_MARK = "gnomon-hub"

_DIGEST = re.compile(r"[0-9a-f]{64}")


def check_digest(digest: str) -> str:
    """Return a SHA-256 in hex unchanged; it is also safe as a path.

    Raises:
        InvalidInput: if it is no such digest.
    """
    if not _DIGEST.fullmatch(digest):
        raise InvalidInput(f"{digest[:80]!r} is not a digest: expected 64 hexadecimal digits")
    return digest


class StoredBlob(NamedTuple):
    """What the store has under one digest."""

    size: int
    written_at: int  # Unix milliseconds


class Blobs:
    """The hub's content, addressed by digest."""

    def __init__(self, database: Database, store: ObjectStore, folder: Path | None = None) -> None:
        """Use an object store; `folder` is its place, if it is on this machine's disk."""
        self._database = database
        self._store = store
        self._folder = folder

    @classmethod
    def in_folder(cls, database: Database, folder: Path) -> "Blobs":
        """Keep blobs in a folder, made if missing."""
        folder.mkdir(parents=True, exist_ok=True)
        return cls(database, LocalStore(folder), folder)

    @classmethod
    def at(cls, database: Database, url: str, folder: Path) -> "Blobs":
        """Keep blobs at `s3://bucket/prefix`, or in a folder if there is no URL.

        Credentials, region and endpoint are those of AWS's usual variables (`AWS_ACCESS_KEY_ID`,
        `AWS_REGION`, `AWS_ENDPOINT`, …), or of the machine's role.

        Raises:
            ConfigurationError: if the URL is wrong, or the store cannot be written.
        """
        if not url:
            return cls.in_folder(database, folder)
        if not url.startswith("s3://"):
            raise ConfigurationError("blob_url should be such as s3://bucket/prefix")
        try:
            store = from_url(url)
            obstore.put(store, _MARK, b"")
        except (BaseError, OSError, ValueError) as error:
            raise ConfigurationError(f"{url} cannot be written: {_cause(error)}") from error
        return cls(database, store)

    def put(self, blobs: Iterable[tuple[str, bytes]]) -> int:
        """Verify and store blobs, and return how many; all are durable when this returns.

        Batches stored before an error stay, so that an interrupted transfer resumes.

        Raises:
            InvalidInput: if content is over 1 MiB or is not what its digest says.
            StorageError: if the store does not take it.
        """
        stored = 0
        waiting: dict[str, bytes] = {}
        for digest, data in blobs:
            _check_content(digest, data)
            waiting[digest] = data
            if len(waiting) == _BATCH:
                stored += self._settle(waiting)
                waiting = {}
        return stored + self._settle(waiting)

    def get(self, digest: str) -> bytes:
        """Return a blob's content, verified.

        Raises:
            NotFound: if the hub does not have it.
            StorageError: if the store's content is damaged, or it does not answer.
        """
        try:
            data = bytes(obstore.get(self._store, _path(check_digest(digest))).bytes())
        except (NotFoundError, FileNotFoundError) as error:
            raise NotFound(f"the hub has no blob {digest}", kind="blob") from error
        except (BaseError, OSError) as error:
            raise StorageError(f"the store did not give {digest}: {_cause(error)}") from error
        if sha256(data) != digest:
            raise StorageError(f"blob {digest} is damaged in the hub's store: its content changed")
        return data

    def missing(self, digests: Sequence[str]) -> list[str]:
        """Return those of the digests that the hub does not have, in order, each once.

        The others count as stored now, so that no sweep deletes what the caller relies on.
        """
        wanted = list(dict.fromkeys(check_digest(digest) for digest in digests))
        with self._database.read() as connection:
            known = blob_rows.known(connection, wanted)
        if any(map(blob_rows.is_old, known.values())):
            with self._database.write() as connection:
                known = blob_rows.known(connection, wanted)
                blob_rows.keep(connection, known)
        return [digest for digest in wanted if digest not in known]

    def listed(self) -> dict[str, StoredBlob]:
        """Return what the store has by digest, verified or not."""
        batches = obstore.list(self._store)
        found = ((one["path"].rpartition("/")[2], one) for batch in batches for one in batch)
        return {
            name: StoredBlob(one["size"], round(one["last_modified"].timestamp() * 1_000))
            for name, one in found
            if _DIGEST.fullmatch(name)
        }

    def delete(self, digests: Sequence[str]) -> None:
        """Delete content whose rows a sweep has deleted, unless somebody has put it again.

        Raises:
            StorageError: if the store does not take it.
        """
        with self._database.write() as connection:
            known = blob_rows.known(connection, digests)
            gone = [_path(digest) for digest in digests if digest not in known]
            try:
                self._remove(gone)
            except (BaseError, OSError) as error:
                raise StorageError(f"the store deleted no content: {_cause(error)}") from error
            blob_sweeps.end(connection)

    def _remove(self, paths: list[str]) -> None:
        if self._folder is None and paths:
            obstore.delete(self._store, paths)  # in one request
            return
        for path in paths:
            with suppress(NotFoundError, FileNotFoundError):
                obstore.delete(self._store, path)

    def _settle(self, contents: Mapping[str, bytes]) -> int:
        waiting = contents
        while waiting:
            with self._database.read() as connection:
                mark = blob_sweeps.read(connection)
            try:
                self._write(waiting)
            except (BaseError, OSError) as error:
                raise StorageError(f"the store took no content: {_cause(error)}") from error
            # What a sweep has deleted meanwhile is written again.
            lost = self._sync(waiting)
            waiting = {one: contents[one] for one in lost} or self._record(contents, mark)
        return len(contents)

    def _write(self, contents: Mapping[str, bytes]) -> None:
        def write(digest: str) -> None:
            obstore.put(self._store, _path(digest), contents[digest])

        if self._folder is not None:
            for digest in contents:
                write(digest)
            return
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="hub-blobs") as pool:
            for _ in pool.map(write, contents):
                pass

    def _record(self, contents: Mapping[str, bytes], mark: int) -> dict[str, bytes]:
        """Add the rows of content that was written; return what is not there any more instead."""
        with self._database.write() as connection:
            if not blob_sweeps.is_quiet(connection, mark):
                lost = {one: data for one, data in contents.items() if not self._has(one)}
                if lost:
                    return lost
            known = blob_rows.known(connection, contents)
            blob_rows.keep(connection, known)
            new = {one: len(data) for one, data in contents.items() if one not in known}
            blob_rows.add(connection, new)
        return {}

    def _has(self, digest: str) -> bool:
        try:
            obstore.head(self._store, _path(digest))
        except (NotFoundError, FileNotFoundError):
            return False
        except (BaseError, OSError) as error:
            raise StorageError(f"the store does not answer: {_cause(error)}") from error
        return True

    def _sync(self, digests: Collection[str]) -> list[str]:
        """Make files and names durable, and return those that are gone.

        An object store elsewhere is durable by itself.
        """
        if self._folder is None:
            return []
        lost = []
        paths = {digest: self._folder / _path(digest) for digest in digests}
        for digest, path in paths.items():
            try:
                descriptor = os.open(path, os.O_RDONLY)
            except FileNotFoundError:
                lost.append(digest)
                continue
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        for folder in {path.parent for path in paths.values()} | {self._folder}:
            sync_folder(folder)
        return lost


def _cause(error: Exception) -> str:
    """Return the first line of an error of the store: the rest repeats the request."""
    return str(error).splitlines()[0][:300] if str(error) else type(error).__name__


def _path(digest: str) -> str:
    return f"{digest[:2]}/{digest}"


def _check_content(digest: str, data: bytes) -> None:
    check_digest(digest)
    if len(data) > MAXIMUM_BYTES:
        raise InvalidInput(f"blob {digest} has {len(data)} bytes; at most {MAXIMUM_BYTES} may come")
    found = sha256(data)
    if found != digest:
        raise InvalidInput(f"blob {digest} is not what it says: its content's SHA-256 is {found}")
