"""Content in pieces of `CHUNK_BYTES`, each known by its SHA-256.

So an interrupted download resumes, and a new version reuses the chunks that it shares with others.
"""

import hashlib
from collections.abc import Iterable, Iterator
from typing import IO

from gnomon.runtime.packages.manifest import CHUNK_BYTES, FileEntry


def sha256(data: bytes) -> str:
    """Return the SHA-256 of data in hex."""
    return hashlib.sha256(data).hexdigest()


def split(data: bytes) -> Iterator[bytes]:
    """Yield the chunks of data in order; an empty file has none."""
    for start in range(0, len(data), CHUNK_BYTES):
        yield data[start : start + CHUNK_BYTES]


def read_chunks(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the chunks of an open file in order, holding one at a time."""
    while chunk := file.read(CHUNK_BYTES):
        yield chunk


def describe(path: str, chunks: Iterable[bytes]) -> FileEntry:
    """Return the manifest's entry of the file of these chunks at a path relative to the package."""
    whole = hashlib.sha256()
    size = 0
    hashes = []
    for chunk in chunks:
        whole.update(chunk)
        size += len(chunk)
        hashes.append(sha256(chunk))
    return FileEntry(path=path, size=size, sha256=whole.hexdigest(), chunks=tuple(hashes))
