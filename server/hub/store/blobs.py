"""Blobs: content of at most 1 MiB, named by its SHA-256, in an object store.

The store holds the bytes; the table `blob` says which of them are verified and durable. So a blob
exists only once its row is committed, and an interrupted put leaves nothing that is read.
"""

import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import LocalStore, ObjectStore, from_url
from sqlalchemy import Connection, insert, select

from gnomon.runtime.errors import ConfigurationError, InvalidInput, NotFound, StorageError
from gnomon.runtime.files import sync_folder
from gnomon.runtime.packages.chunks import sha256
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.clock import now_ms
from gnomon.server.hub.store.database import Database

MAXIMUM_BYTES = 1024 * 1024

#: How many digests one SQL statement asks for; SQLite and PostgreSQL both bound its parameters.
_ASK = 500

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
        """Return those of the digests that the hub does not have, in order, each once."""
        wanted = list(dict.fromkeys(check_digest(digest) for digest in digests))
        with self._database.read() as connection:
            known = _known(connection, wanted)
        return [digest for digest in wanted if digest not in known]

    def names(self) -> set[str]:
        """Return the digests under which the store has anything, verified or not."""
        listed = obstore.list(self._store)
        names = (one["path"].rpartition("/")[2] for batch in listed for one in batch)
        return {name for name in names if _DIGEST.fullmatch(name)}

    def _settle(self, contents: Mapping[str, bytes]) -> int:
        if contents:
            try:
                self._write(contents)
            except (BaseError, OSError) as error:
                raise StorageError(f"the store took no content: {_cause(error)}") from error
            self._sync(contents)
            self._record({digest: len(data) for digest, data in contents.items()})
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

    def _record(self, sizes: dict[str, int]) -> None:
        with self._database.write() as connection:
            known = _known(connection, sizes)
            rows = [
                {"digest": digest, "size": size, "stored_at": now_ms()}
                for digest, size in sizes.items()
                if digest not in known
            ]
            if rows:
                connection.execute(insert(schema.blob), rows)

    def _sync(self, digests: Collection[str]) -> None:
        """Make files and names durable; an object store elsewhere is so by itself."""
        if self._folder is None:
            return
        paths = [self._folder / _path(digest) for digest in digests]
        for path in paths:
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        for folder in {path.parent for path in paths} | {self._folder}:
            sync_folder(folder)


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


def _known(connection: Connection, digests: Iterable[str]) -> set[str]:
    wanted = list(digests)
    known: set[str] = set()
    for start in range(0, len(wanted), _ASK):
        part = wanted[start : start + _ASK]
        known.update(
            connection.scalars(select(schema.blob.c.digest).where(schema.blob.c.digest.in_(part)))
        )
    return known
