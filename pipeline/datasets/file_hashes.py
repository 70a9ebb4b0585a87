"""Content hashes of files: many small ones by several processes, large ones by several threads.

A file's hash is its SHA-256, and for one above 16 MiB the SHA-256 of the SHA-256 of its pieces of
16 MiB, so that one large file keeps several processors busy. This file is also what the processes
run; it imports little, so that they start quickly.
"""

import hashlib
import os
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import BinaryIO

__all__ = ["PIECE_BYTES", "hash_files"]

PIECE_BYTES = 16 << 20

#: With fewer small files than this, starting processes takes longer than it saves.
_FEW_FILES = 2_000
_BATCH_FILES = 500
_BUFFER_BYTES = 1 << 20
_HEAD = struct.Struct("<I")
_ENTRY = struct.Struct("<QI")
_HASH_BYTES = 32

File = tuple[str, int]


def hash_files(files: Sequence[File], workers: int) -> list[bytes]:
    """Return the hash of each file, given as path and size, in their order.

    Raises:
        OSError: a file cannot be read, or has not as many bytes as it had.
    """
    small = [file for file in files if file[1] <= PIECE_BYTES]
    large = [file for file in files if file[1] > PIECE_BYTES]
    is_worth_it = workers > 1 and len(small) >= _FEW_FILES
    found = _in_processes(small, workers) if is_worth_it else map(_hash_small, small)
    known = dict(zip((path for path, _ in small), found, strict=True))
    known |= _hash_large(large, workers)
    return [known[path] for path, _ in files]


def _hash_small(file: File) -> bytes:
    path, size = file
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
    _check(path, size, read)
    return digest.digest()


def _check(path: str, size: int, read: int) -> None:
    if read != size:
        raise OSError(f"{path} has changed while it was read: {size} bytes before, {read} now")


def _hash_large(files: Sequence[File], workers: int) -> dict[str, bytes]:
    pieces = [(path, at, size) for path, size in files for at in range(0, size, PIECE_BYTES)]
    totals = {path: hashlib.sha256() for path, _ in files}
    # hashlib and reading release the interpreter lock, so threads suffice.
    with ThreadPoolExecutor(max(workers, 1)) as pool:
        for (path, _, _), digest in zip(pieces, pool.map(_hash_piece, pieces), strict=True):
            totals[path].update(digest)
    return {path: total.digest() for path, total in totals.items()}


def _hash_piece(piece: tuple[str, int, int]) -> bytes:
    path, at, size = piece
    digest, left = hashlib.sha256(), min(PIECE_BYTES, size - at)
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 (pathlib is no light import)
        if at + left == size:
            _check(path, size, os.fstat(file.fileno()).st_size)
        file.seek(at)
        while left:
            data = file.read(min(left, _BUFFER_BYTES))
            if not data:
                _check(path, size, size - left)
            digest.update(data)
            left -= len(data)
    return digest.digest()


def _in_processes(files: Sequence[File], workers: int) -> Iterator[bytes]:
    """Yield the hashes in order; each thread uses a process of its own."""
    batches = [files[at : at + _BATCH_FILES] for at in range(0, len(files), _BATCH_FILES)]
    processes: SimpleQueue[subprocess.Popen[bytes]] = SimpleQueue()
    started = [
        subprocess.Popen(
            [sys.executable, "-I", "-S", __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in range(min(workers, len(batches)))
    ]
    for process in started:
        processes.put(process)

    def ask(batch: Sequence[File]) -> list[bytes]:
        process = processes.get()
        try:
            return _ask(process, batch)
        finally:
            processes.put(process)

    try:
        with ThreadPoolExecutor(len(started)) as pool:
            for digests in pool.map(ask, batches):
                yield from digests
    finally:
        for process in started:
            process.kill()
            process.communicate()


def _ask(process: "subprocess.Popen[bytes]", batch: Sequence[File]) -> list[bytes]:
    if process.stdin is None or process.stdout is None:
        raise OSError("the process that hashes has no pipes")
    names = [os.fsencode(path) for path, _ in batch]
    entries = [
        _ENTRY.pack(size, len(name)) + name for name, (_, size) in zip(names, batch, strict=True)
    ]
    process.stdin.write(_HEAD.pack(len(batch)) + b"".join(entries))
    process.stdin.flush()
    answer = process.stdout.read(len(batch) * _HASH_BYTES)
    if len(answer) != len(batch) * _HASH_BYTES:
        # It ended at the file that it could not read; reading it here raises the reason.
        return [_hash_small(file) for file in batch]
    return [answer[at : at + _HASH_BYTES] for at in range(0, len(answer), _HASH_BYTES)]


def _serve(questions: BinaryIO, answers: BinaryIO) -> None:
    """Answer batches of paths and sizes with their hashes, until no more come."""
    while len(head := questions.read(_HEAD.size)) == _HEAD.size:
        digests = []
        for _ in range(_HEAD.unpack(head)[0]):
            size, length = _ENTRY.unpack(questions.read(_ENTRY.size))
            digests.append(_hash_small((os.fsdecode(questions.read(length)), size)))
        answers.write(b"".join(digests))
        answers.flush()


if __name__ == "__main__":
    try:
        _serve(sys.stdin.buffer, sys.stdout.buffer)
    except OSError:
        sys.exit(1)
