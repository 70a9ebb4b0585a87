"""The record of a dataset: its fingerprint and its files, and a check of what has changed.

A table's fingerprint is that of its rows, so it stays the same if files are split, sorted or
written in another format; its files are recorded beside it, so that a change can be pinned down.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import msgspec
import pyarrow as pa

from gnomon.pipeline.datasets.csv_dialect import DEFAULT_DIALECT, CsvDialect
from gnomon.pipeline.datasets.file_cache import FileCache
from gnomon.pipeline.datasets.file_index import (
    DatasetFile,
    files_fingerprint,
    index_files,
    list_folder,
)
from gnomon.pipeline.datasets.fingerprint import RowCollector, row_hashes
from gnomon.pipeline.datasets.pieces import TABLE_ENDINGS, Piece, reading_notes, table_pieces
from gnomon.pipeline.datasets.row_encoding import DatasetError

__all__ = [
    "Changes",
    "DatasetRecord",
    "check_record",
    "decode_record",
    "encode_record",
    "fingerprint_rows",
    "record_dataset",
]


class DatasetRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A recorded dataset: `kind` is "table" (identified by rows) or "files" (by contents).

    `paths` are relative to the record's folder. `rows` is 0 for files. A record of an earlier
    release has no `csv`: its files had commas, and no usual words for a missing value.
    """

    gnomon_dataset: int = 1
    kind: str
    fingerprint: str
    paths: tuple[str, ...]
    missing: tuple[str, ...] = ()
    csv: CsvDialect | msgspec.UnsetType = msgspec.UNSET
    rows: int = 0
    files: tuple[DatasetFile, ...]

    @property
    def dialect(self) -> CsvDialect:
        """How its CSV files are written."""
        if self.csv is not msgspec.UNSET:
            return self.csv
        return CsvDialect(delimiter=",", missing=self.missing, usual_words=False)


@dataclass(frozen=True, slots=True)
class Changes:
    """How a dataset differs from its record; `is_same` says whether its fingerprint is the same.

    Files may have changed although it is: their rows are the same in another order or format.
    """

    is_same: bool
    fingerprint: str
    changed: tuple[str, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]


def record_dataset(
    paths: Sequence[Path],
    *,
    beside: Path,
    dialect: CsvDialect = DEFAULT_DIALECT,
    cache: FileCache | None = None,
    workers: int = 1,
    tell: Callable[[list[str]], object] | None = None,
) -> DatasetRecord:
    """Return the record of a dataset; its paths are relative to the folder `beside`.

    One folder, or any file that is no table, makes it a dataset of files; files that all end as
    tables do make it a table.

    Args:
        paths: files or folders.
        beside: the folder to which paths are written relative.
        dialect: how CSV files are written.
        cache: hashes of files that are known already.
        workers: processes that hash.
        tell: is called with sentences that say how a table was read.

    Raises:
        DatasetError: something cannot be read.
    """
    names = tuple(Path(os.path.relpath(path, beside)).as_posix() for path in paths)
    is_table = all(path.suffix.lower() in TABLE_ENDINGS and not path.is_dir() for path in paths)
    files = index_files(_list(paths), cache, workers)
    if not is_table:
        return DatasetRecord(
            kind="files", fingerprint=files_fingerprint(files), paths=names, files=files
        )
    pieces = table_pieces(paths, dialect)
    if tell is not None:
        tell(reading_notes(pieces))
    fingerprint, rows = fingerprint_rows(pieces, workers)
    return DatasetRecord(
        kind="table",
        fingerprint=fingerprint,
        paths=names,
        missing=dialect.missing,
        csv=dialect,
        rows=rows,
        files=files,
    )


def check_record(
    record: DatasetRecord, beside: Path, *, cache: FileCache | None = None, workers: int = 1
) -> Changes:
    """Return how the dataset in the folder `beside` differs from its record.

    Rows are read only if a file has changed; files, if the cache does not know them.

    Args:
        record: what was recorded.
        beside: the folder to which its paths are relative.
        cache: hashes of files that are known already.
        workers: processes that hash.

    Raises:
        DatasetError: something that is still there cannot be read.
    """
    paths = [beside / path for path in record.paths]
    files = index_files(_list(paths), cache, workers)
    there = [path for path in paths if path.exists()]
    changed, added, removed = _differences(record.files, files)
    if not (changed or added or removed):
        return Changes(True, record.fingerprint, (), (), ())
    fingerprint = files_fingerprint(files) if record.kind == "files" else ""
    if record.kind == "table" and there:
        pieces = table_pieces(there, record.dialect)
        fingerprint, _ = fingerprint_rows(pieces, workers)
    return Changes(fingerprint == record.fingerprint, fingerprint, changed, added, removed)


def fingerprint_rows(pieces: Sequence[Piece], workers: int = 1) -> tuple[str, int]:
    """Return the fingerprint and the number of the rows of all pieces; memory stays bounded.

    Raises:
        DatasetError: a piece cannot be read, or holds what cannot be fingerprinted.
    """
    lock = Lock()
    with RowCollector() as collector:

        def collect(piece: Piece) -> None:
            for batch in piece.batches():
                hashes = row_hashes(pa.Table.from_batches([batch]))
                with lock:
                    collector.add(hashes)

        # Arrow and the kernels release the interpreter lock, so threads suffice.
        with ThreadPoolExecutor(max(workers, 1)) as pool:
            for _ in pool.map(collect, pieces):
                pass
        return collector.finish(pieces[0].schema.names), collector.rows


def encode_record(record: DatasetRecord) -> bytes:
    """Return a record as JSON."""
    return msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n"


def decode_record(data: bytes) -> DatasetRecord:
    """Read a record.

    Raises:
        DatasetError: it is no valid record; the message has the path of the offending key.
    """
    try:
        return msgspec.json.decode(data, type=DatasetRecord)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise DatasetError(f"this is no record of a dataset: {error}") from error


def _list(paths: Sequence[Path]) -> list[tuple[str, str]]:
    """Return every existing file with its name under the common folder."""
    whole = [path.absolute() for path in paths]
    base = whole[0] if len(paths) == 1 and paths[0].is_dir() else _parent(whole)
    files: list[tuple[str, str]] = []
    for path in whole:
        inner = Path(os.path.relpath(path, base)).as_posix()
        if path.is_dir():
            prefix = "" if inner == "." else f"{inner}/"
            files += [(file, prefix + name) for file, name in list_folder(path)]
        elif path.exists():
            files.append((str(path), inner))
    return files


def _parent(paths: Sequence[Path]) -> Path:
    return Path(os.path.commonpath([path.parent for path in paths]))


def _differences(
    before: Sequence[DatasetFile], now: Sequence[DatasetFile]
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Return the names of files that were changed, added and removed."""
    old: Mapping[str, DatasetFile] = {one.path: one for one in before}
    new: Mapping[str, DatasetFile] = {one.path: one for one in now}
    changed = [path for path in new if path in old and new[path] != old[path]]
    return (
        tuple(changed),
        tuple(path for path in new if path not in old),
        tuple(path for path in old if path not in new),
    )
