"""One fragment becomes one part: a file of outputs, one of refusals, and a record that both are."""

import io
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet

from gnomon.pipeline.batch.fragments import Fragment
from gnomon.pipeline.batch.scoring import BatchScorer, RowRefusal
from gnomon.pipeline.datasets.row_encoding import DatasetError
from gnomon.runtime.errors import StorageError
from gnomon.runtime.files import sync_folder, write_durably
from gnomon.runtime.packages.signing import TrustStore

__all__ = [
    "FORMATS",
    "BatchPart",
    "PartTask",
    "check_format",
    "part_schema",
    "record_path",
    "refused_path",
    "score_fragment",
]

#: Rows that are scored together.
_ROWS = 1 << 16
_RECORD_ENDING = ".done.json"
_REFUSED_ENDING = ".refused.jsonl"


class BatchPart(msgspec.Struct, frozen=True):
    """What became of one fragment.

    Attributes:
        name: of its file in the run's folder.
        file: the source's file that the rows come from.
        rows: how many the fragment has.
        answered: how many of them the part has.
        refused_by: how many rows broke a rule, by `field: rule`, or by the error's code.
    """

    name: str
    file: str
    rows: int
    answered: int
    refused_by: dict[str, int]

    @property
    def refused(self) -> int:
        """How many rows have no answer."""
        return self.rows - self.answered


class PartTask(NamedTuple):
    """How all parts of a run are made; a process opens the package once."""

    package: Path
    trusted_keys: tuple[bytes, ...]
    names: Mapping[str, str]
    keep: tuple[str, ...]
    prefix: str
    format: str
    folder: Path


def score_fragment(fragment: Fragment, task: PartTask) -> BatchPart:
    """Write the part of a fragment, unless it is there; return its record.

    The record is written last. So a part without one is written again, and one with it is whole.

    Raises:
        DatasetError: the file cannot be read, or lacks a column.
        StorageError: the part cannot be written.
    """
    name = f"part-{fragment.key}.{task.format}"
    record = task.folder / (name + _RECORD_ENDING)
    try:
        return msgspec.json.decode(record.read_bytes(), type=BatchPart)
    except FileNotFoundError:
        pass
    try:
        part = _write(fragment, task, name)
        write_durably(record, msgspec.json.encode(part))
    except OSError as error:
        raise StorageError(f"{task.folder / name} cannot be written: {error}") from error
    return part


def part_schema(kept: pa.Schema, outputs: pa.Schema, prefix: str) -> pa.Schema:
    """Return the columns of a part: those of the source that are kept, then the outputs.

    Raises:
        DatasetError: an output is named as a column that is kept.
    """
    named = [field.with_name(prefix + field.name) for field in outputs]
    for field in named:
        if field.name in kept.names:
            raise DatasetError(
                f"the output {field.name!r} is named as a column of the source; choose the columns "
                "to keep without it, or a prefix for outputs"
            )
    return pa.schema([*kept, *named])


def check_format(format: str, schema: pa.Schema) -> None:
    """Refuse columns that a format cannot hold, before anything is scored.

    Raises:
        DatasetError: it cannot, such as lists in CSV.
    """
    try:
        with _WRITERS[format](io.BytesIO(), schema) as writer:
            writer.write_batch(pa.RecordBatch.from_pylist([], schema))
    except pa.ArrowException as error:
        raise DatasetError(
            f"{format} cannot hold these columns ({error}); keep others, or choose another format"
        ) from error


def refused_path(folder: Path, part: BatchPart) -> Path:
    """Return where the refusals of a part are until the run ends; no file if it has none."""
    return folder / (part.name + _REFUSED_ENDING)


def record_path(folder: Path, part: BatchPart) -> Path:
    """Return where the record of a part is until the run ends."""
    return folder / (part.name + _RECORD_ENDING)


def _write(fragment: Fragment, task: PartTask, name: str) -> BatchPart:
    scorer = _scorer(task.package, task.trusted_keys)
    kept = pa.schema([fragment.piece.schema.field(one) for one in task.keep])
    schema = part_schema(kept, scorer.schema, task.prefix)
    refused_by: Counter[str] = Counter()
    rows = answered = 0
    with (
        _new_file(task.folder / name) as file,
        _new_file(task.folder / (name + _REFUSED_ENDING)) as refused,
        _WRITERS[task.format](file, schema) as writer,
    ):
        for batch in _batches(fragment):
            scored = scorer.score(
                batch.rename_columns([task.names[one] for one in batch.schema.names])
            )
            left = batch.select(list(task.keep)).take(pa.array(scored.answered))
            columns = [*left.columns, *scored.outputs.columns]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
            for one in scored.refusals:
                refused_by.update(_reasons(one))
                refused.write(_line(fragment.file, rows, one))
            rows += batch.num_rows
            answered += len(scored.answered)
    sync_folder(task.folder)
    return BatchPart(name, fragment.file, rows, answered, dict(sorted(refused_by.items())))


@contextmanager
def _new_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file that takes its name only when it is whole and durable."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _batches(fragment: Fragment) -> Iterator[pa.RecordBatch]:
    """Yield the rows in batches whose ends depend on the fragment only."""
    for batch in fragment.piece.batches():
        for start in range(0, batch.num_rows, _ROWS):
            yield batch.slice(start, _ROWS)


def _reasons(refusal: RowRefusal) -> set[str]:
    """Return what a row is counted by: each rule that it broke, else the error's code."""
    named = {f"{one['field'] or 'row'}: {one['rule']}" for one in refusal.details if "rule" in one}
    return named or {refusal.code}


def _line(file: str, offset: int, refusal: RowRefusal) -> bytes:
    line = {
        "file": file,
        "row": offset + refusal.row,
        "code": refusal.code,
        "message": refusal.message,
        "details": [{**one, "row": None} for one in refusal.details],
    }
    return msgspec.json.encode(line) + b"\n"


@lru_cache(maxsize=1)
def _scorer(package: Path, trusted_keys: tuple[bytes, ...]) -> BatchScorer:
    """Open a package once for all fragments that a process scores."""
    return BatchScorer(package, TrustStore(trusted_keys) if trusted_keys else None)


_WRITERS: dict[str, Callable[[BinaryIO, pa.Schema], Any]] = {
    "parquet": pyarrow.parquet.ParquetWriter,
    "arrow": pyarrow.ipc.new_file,
    "csv": pyarrow.csv.CSVWriter,
}

#: What a part may be written as.
FORMATS = tuple(_WRITERS)
