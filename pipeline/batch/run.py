"""A batch run: every row of a source scored once, however often the run is killed.

The folder of outputs has a folder for each run, named by what was to be done (files, package,
parameters), and the link `current` to the newest run that holds. Parts appear whole; the manifest
appears last, and with it the run has happened. A run that is started again does what is missing.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec
import pyarrow as pa

from gnomon.pipeline.batch.fragments import BatchSource, Fragment, read_source
from gnomon.pipeline.batch.manifest import (
    MANIFEST,
    BatchManifest,
    BatchParameters,
    make_manifest,
    read_manifest,
    run_key,
)
from gnomon.pipeline.batch.parts import (
    BatchPart,
    PartTask,
    check_format,
    part_schema,
    record_path,
    refused_path,
    score_fragment,
)
from gnomon.pipeline.batch.scoring import output_schema
from gnomon.pipeline.datasets.csv_dialect import DEFAULT_DIALECT, CsvDialect
from gnomon.pipeline.datasets.row_encoding import DatasetError
from gnomon.runtime.errors import StorageError
from gnomon.runtime.files import clear_temporaries, sync_folder, write_durably
from gnomon.runtime.lock import FolderLock
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.signing import TrustStore

__all__ = ["REFUSED", "BatchJob", "BatchResult", "run_batch"]

REFUSED = "_refused.jsonl"
_CURRENT = "current"
_RUNS = "runs"

#: Applies a function to every fragment, somewhere, and gives the results in their order.
Spread = Callable[[Callable[[Fragment], BatchPart], Sequence[Fragment]], Iterable[BatchPart]]


class BatchJob(NamedTuple):
    """What is to be done.

    Attributes:
        source: a CSV, Parquet or Arrow file, or a folder of files of one of these kinds.
        output: a folder; it is made if need be.
        package: the package's folder.
        trusted_keys: public keys of which one must have signed the package; none: it may be
            unsigned, and then runs no code of its own.
        keep: columns of the source that the parts repeat; None: all.
        prefix: of the names of outputs.
        format: of the parts: parquet, arrow or csv.
        dialect: how CSV files of the source are written.
        refused_share: a run with a greater share of refused rows is quarantined.
        is_forced: run again although the same work was done; the earlier run stays.
    """

    source: Path
    output: Path
    package: Path
    trusted_keys: tuple[bytes, ...] = ()
    keep: tuple[str, ...] | None = None
    prefix: str = ""
    format: str = "parquet"
    dialect: CsvDialect = DEFAULT_DIALECT
    refused_share: float = 0.05
    is_forced: bool = False


class BatchResult(NamedTuple):
    """The manifest, the run's folder, and whether the work had been done before."""

    manifest: BatchManifest
    folder: Path
    was_done: bool


def run_batch(job: BatchJob, spread: Spread, workers: int = 1) -> BatchResult:
    """Score a source, or do what is missing of it.

    A run that refuses more rows than it may is quarantined: it stays in its folder, and `current`
    stays at the run before.

    Args:
        job: what is to be done.
        spread: runs the fragments, such as `gnomon.pipeline.profiles.spread.in_processes(2)`.
        workers: how many processes may hash files.

    Raises:
        DatasetError: the source cannot be read, or lacks a column.
        PackageError, UntrustedPackage, EngineError: the package cannot be used.
        StorageError: the output cannot be written, or another process writes there.
    """
    if job.output.resolve().is_relative_to(job.source.resolve()):
        raise DatasetError(f"{job.output} is in the source {job.source}; write elsewhere")
    trust = TrustStore(job.trusted_keys) if job.trusted_keys else None
    package = Package.open(job.package, trust)
    source = read_source(job.source, job.dialect, package.profile.inputs, workers)
    task = _task(job, package, source)
    parameters = BatchParameters(task.keep, job.prefix, job.format, repr(job.dialect))
    lock = FolderLock(job.output)
    try:
        key = run_key(package.digest, parameters, source.files)
        folder = _folder(job.output / _RUNS, key, is_forced=job.is_forced)
        done = read_manifest(folder)
        if done is not None:
            _finish(job.output, folder, done)
            return BatchResult(done, folder, was_done=True)
        clear_temporaries(folder)
        parts = list(
            spread(partial(score_fragment, task=task._replace(folder=folder)), source.fragments)
        )
        source.check_unchanged()
        identity = package.manifest.name, package.manifest.version, package.digest
        manifest = make_manifest(identity, parameters, source.files, parts, job.refused_share)
        _join_refusals(folder, parts)
        write_durably(folder / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)))
        _finish(job.output, folder, manifest)
        return BatchResult(manifest, folder, was_done=False)
    except OSError as error:
        raise StorageError(f"{job.output} cannot be written: {error}") from error
    finally:
        lock.release()


def _task(job: BatchJob, package: Package, source: BatchSource) -> PartTask:
    """Check the columns before anything is scored."""
    columns = list(source.names)
    keep = tuple(columns) if job.keep is None else job.keep
    if lacking := [name for name in keep if name not in source.names]:
        raise DatasetError(f"{job.source} has no column {lacking[0]!r} to keep")
    fields = {field.name for field in package.profile.inputs}
    if not fields & set(source.names.values()):
        shown = ", ".join(sorted(fields))
        raise DatasetError(f"{job.source} has none of the package's fields: {shown}")
    schema = source.fragments[0].piece.schema
    kept = pa.schema([schema.field(name) for name in keep])
    outputs = output_schema(package.manifest.signature.outputs)
    check_format(job.format, part_schema(kept, outputs, job.prefix))
    return PartTask(
        job.package.resolve(), job.trusted_keys, source.names, keep, job.prefix, job.format, Path()
    )


def _folder(runs: Path, key: str, *, is_forced: bool) -> Path:
    """Return the folder of a run: the newest attempt, or a new one if that is asked for."""
    attempt = 1
    while (runs / f"{key}-{attempt + 1}").exists():
        attempt += 1
    if is_forced and (runs / f"{key}-{attempt}" / MANIFEST).exists():
        attempt += 1
    folder = runs / f"{key}-{attempt}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _join_refusals(folder: Path, parts: Sequence[BatchPart]) -> None:
    """Write the refusals of all parts into one file, with the rows counted from their file's start.

    What was there of a run that was killed here is replaced as a whole.
    """
    offsets: Counter[str] = Counter()
    temporary = folder / f".{REFUSED}.new"
    with temporary.open("wb") as joined:
        for part in parts:
            with refused_path(folder, part).open("rb") as lines:
                for line in lines:
                    one = msgspec.json.decode(line)
                    one["row"] += offsets[part.file]
                    joined.write(msgspec.json.encode(one) + b"\n")
            offsets[part.file] += part.rows
    temporary.replace(folder / REFUSED)
    sync_folder(folder)


def _finish(output: Path, folder: Path, manifest: BatchManifest) -> None:
    """Remove what only an unfinished run needs, and point `current` at a run that holds."""
    for part in manifest.parts:
        record_path(folder, part).unlink(missing_ok=True)
        refused_path(folder, part).unlink(missing_ok=True)
    if manifest.is_quarantined:
        return
    link, new = output / _CURRENT, output / f".{_CURRENT}.new"
    new.unlink(missing_ok=True)
    new.symlink_to(folder.relative_to(output), target_is_directory=True)
    new.replace(link)
    sync_folder(output)
