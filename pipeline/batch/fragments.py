"""What a batch run reads: the pieces of its files, each with a key that depends on content only."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from gnomon.core.fields import Field
from gnomon.pipeline.datasets.contract_columns import fields_of_columns, read_texts_of
from gnomon.pipeline.datasets.csv_dialect import CsvDialect
from gnomon.pipeline.datasets.file_index import DatasetFile, index_files, list_folder
from gnomon.pipeline.datasets.pieces import TABLE_ENDINGS, Piece, table_pieces
from gnomon.pipeline.datasets.row_encoding import DatasetError

__all__ = ["BatchSource", "Fragment", "read_source"]


class Fragment(NamedTuple):
    """The part of a file that one worker scores."""

    piece: Piece
    #: Of the file, relative to the source.
    file: str
    #: Hexadecimal; the same for the same bytes at the same place, whenever they are read.
    key: str


class BatchSource(NamedTuple):
    """All that a run reads."""

    files: tuple[DatasetFile, ...]
    fragments: list[Fragment]
    #: Column → the field that it becomes.
    names: dict[str, str]
    #: Path → size and times of each file when it was hashed.
    stamps: dict[Path, tuple[int, int, int]]

    def check_unchanged(self) -> None:
        """Refuse a source of which a file has changed since it was hashed.

        Raises:
            DatasetError: it has: the content that was read is unknown.
        """
        for path, stamp in self.stamps.items():
            if _stamp(path) != stamp:
                raise DatasetError(f"{path} changed while it was read; run again on files at rest")


def read_source(
    path: Path, dialect: CsvDialect, inputs: Sequence[Field], workers: int = 1
) -> BatchSource:
    """Return the pieces of a file, or of all tables in a folder, in the order of their names.

    Columns of CSV that are text fields of the contract are read as texts, also if they look like
    numbers.

    Args:
        path: a CSV, Parquet or Arrow file, or a folder of files of one of these kinds.
        dialect: how CSV files are written.
        inputs: the fields of the contract.
        workers: how many processes may hash the files.

    Raises:
        DatasetError: a file cannot be read, or the folder has no table.
    """
    found = _list_files(path)
    paths = [Path(one) for one, _ in found]
    if paths[0].suffix.lower() == ".csv":
        dialect = read_texts_of(paths[0], dialect, inputs)
    stamps = {one: _stamp(one) for one in paths}
    files = index_files(found, workers=workers)
    pieces = table_pieces(paths, dialect)
    columns = pieces[0].schema.names if pieces else []
    names = fields_of_columns(columns)
    entries = {file.path: file for file in files}
    known = {Path(one): entries[name] for one, name in found}
    return BatchSource(files, _fragments(pieces, known), names, stamps)


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError as error:
        raise DatasetError(f"{path}: {error}") from error
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _list_files(path: Path) -> list[tuple[str, str]]:
    """Return path and name of each file."""
    if not path.exists():
        raise DatasetError(f"{path} does not exist; give a file or a folder of files")
    if not path.is_dir():
        return [(str(path), path.name)]
    found = [one for one in list_folder(path) if one[1].lower().endswith(TABLE_ENDINGS)]
    if not found:
        raise DatasetError(f"{path} holds no file that ends in {', '.join(TABLE_ENDINGS)}")
    return sorted(found, key=lambda one: one[1])


def _fragments(pieces: Sequence[Piece], known: dict[Path, DatasetFile]) -> list[Fragment]:
    places: Counter[Path] = Counter()
    fragments = []
    for piece in pieces:
        path = piece.reader.path
        file = known[path]
        text = f"{file.path}\0{file.hash}\0{places[path]}"
        key = hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=16).hexdigest()
        fragments.append(Fragment(piece, file.path, key))
        places[path] += 1
    return fragments
