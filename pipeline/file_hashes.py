"""SHA-256 of files, in this process or in several. Imports little: each worker does it again."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context

__all__ = ["hash_files"]

#: With less to do than this, starting processes takes longer than it saves.
_FEW_FILES, _FEW_BYTES = 4_000, 256 << 20
_BATCH_FILES, _BATCH_BYTES = 1_000, 64 << 20
_BUFFER_BYTES = 1 << 20


def hash_files(files: Sequence[tuple[str, int]], workers: int) -> Iterator[bytes]:
    """Yield the SHA-256 of each file of a path and a size, in their order.

    Raises:
        OSError: a file cannot be read, or has not as many bytes as it had.
    """
    total = sum(size for _, size in files)
    if workers <= 1 or (len(files) < _FEW_FILES and total < _FEW_BYTES) or len(files) < 2:
        yield from _hash_batch(files)
        return
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        for digests in pool.map(_hash_batch, _batches(files)):
            yield from digests


def _batches(files: Sequence[tuple[str, int]]) -> Iterator[list[tuple[str, int]]]:
    """Yield batches that are worth sending: many small files, or few large ones."""
    rest = iter(files)
    while batch := list(islice(rest, 1)):
        size = batch[0][1]
        while size < _BATCH_BYTES and len(batch) < _BATCH_FILES:
            more = list(islice(rest, 1))
            if not more:
                break
            batch += more
            size += more[0][1]
        yield batch


def _hash_batch(files: Sequence[tuple[str, int]]) -> list[bytes]:
    return [_hash_file(path, size) for path, size in files]


def _hash_file(path: str, size: int) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    try:
        data = os.read(descriptor, min(size + 1, _BUFFER_BYTES))
        digest, read = hashlib.sha256(data), len(data)
        while data and read <= size:
            data = os.read(descriptor, _BUFFER_BYTES)
            digest.update(data)
            read += len(data)
    finally:
        os.close(descriptor)
    if read != size:
        raise OSError(f"{path} has changed while it was read: {size} bytes before, {read} now")
    return digest.digest()
