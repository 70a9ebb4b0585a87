"""`gnomon batch`: the rows of files through a package, each part exactly once."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gnomon.command.shared.csv_options import csv_options, split_names
from gnomon.command.shared.output import emit, json_option, show
from gnomon.command.shared.package_options import FOLDER, parse_keys

if TYPE_CHECKING:
    from gnomon.pipeline.batch.run import BatchResult
    from gnomon.pipeline.datasets.csv_dialect import CsvDialect


@click.group()
def batch() -> None:
    """Score the rows of files with a package, offline and exactly once."""


@batch.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("output", type=click.Path(path_type=Path, file_okay=False))
@click.option("--package", type=FOLDER, required=True, help="Folder of the package that answers.")
@click.option(
    "--key", "keys", multiple=True, help="Trusted public key, hex or a file; none: unsigned."
)
@click.option("--keep", help="Columns of SOURCE that the output repeats: A,B,…; default: all.")
@click.option("--prefix", default="", help="Put before the names of outputs.")
@click.option(
    "--format",
    type=click.Choice(["parquet", "arrow", "csv"]),
    default="parquet",
    show_default=True,
    help="Of the output's files.",
)
@click.option(
    "--max-refused",
    type=click.FloatRange(0, 1),
    default=0.05,
    show_default=True,
    help="Share of refused rows above which the run is quarantined.",
)
@click.option("--force", is_flag=True, help="Run again, beside the run that did the same work.")
@click.option("--cluster", default="", help="Scheduler of a Dask cluster: tcp://host:8786.")
@click.option(
    "--workers", default=os.cpu_count() or 1, show_default=True, help="Processes that score."
)
@csv_options
@json_option
def score(
    source: Path,
    output: Path,
    keys: tuple[str, ...],
    keep: str | None,
    max_refused: float,
    force: bool,
    cluster: str,
    workers: int,
    dialect: Callable[[], "CsvDialect"],
    as_json: bool,
    **options: Any,
) -> int:
    """Score SOURCE, a CSV, Parquet or Arrow file or a folder of them, into the folder OUTPUT.

    The answers are in OUTPUT/current: files of outputs, _refused.jsonl with the reason for each
    refused row, and _manifest.json. A run that was killed goes on where it was. A run of the same
    files, package and options does nothing. A run that refuses more than --max-refused of its rows
    is quarantined: the answers of the run before stay current, and the exit code is 1.
    """
    from gnomon.pipeline.batch.run import BatchJob, run_batch
    from gnomon.pipeline.profiles.spread import in_processes, on_cluster

    job = BatchJob(
        source,
        output,
        trusted_keys=tuple(parse_keys(keys)),
        keep=None if keep is None else tuple(split_names(keep)),
        dialect=dialect(),
        refused_share=max_refused,
        is_forced=force,
        **options,
    )
    result = run_batch(job, on_cluster(cluster) if cluster else in_processes(workers), workers)
    manifest = result.manifest
    facts = {
        "folder": str(result.folder),
        "was_done": result.was_done,
        "rows": manifest.rows,
        "answered": manifest.answered,
        "refused": manifest.refused,
        "refused_by": manifest.refused_by,
        "is_quarantined": manifest.is_quarantined,
    }
    emit(facts, as_json=as_json, render=lambda: _show(result))
    return 1 if manifest.is_quarantined else 0


def _show(result: "BatchResult") -> None:
    manifest = result.manifest
    done = "nothing to do; the same work was done before: " if result.was_done else ""
    show(
        f"{done}{manifest.rows} rows of {len(manifest.files)} files by {manifest.model}@"
        f"{manifest.version}: {manifest.answered} answered, {manifest.refused} refused"
    )
    for reason, count in sorted(manifest.refused_by.items(), key=lambda one: (-one[1], one[0])):
        show(f"  {reason}: ", f"{count} rows")
    if manifest.is_quarantined:
        show("quarantined, and not made current: ", str(result.folder))
    else:
        show("answers: ", str(result.folder))
