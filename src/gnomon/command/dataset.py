"""`gnomon dataset`: fingerprint data, find changes, and profile tables."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gnomon.command.shared.csv_options import csv_options, show_notes, split_names
from gnomon.command.shared.output import emit, json_option, show, styled, table
from gnomon.command.shared.package_options import FILE

if TYPE_CHECKING:
    from gnomon.pipeline.datasets.csv_dialect import CsvDialect
    from gnomon.pipeline.datasets.file_cache import FileCache

_SHOWN = 20

_workers_option = click.option(
    "--workers", default=os.cpu_count() or 1, show_default=True, help="How many read at a time."
)
_cache_option = click.option(
    "--no-cache", is_flag=True, help="Read all files again, without the cache."
)


@click.group()
def dataset() -> None:
    """Fingerprint data, find changes, and profile tables."""


@dataset.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--record",
    "out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the record to this file.",
)
@csv_options
@_workers_option
@_cache_option
@json_option
def fingerprint(
    paths: tuple[Path, ...],
    dialect: Callable[[], "CsvDialect"],
    out: Path | None,
    workers: int,
    no_cache: bool,
    as_json: bool,
) -> None:
    """Fingerprint the table in PATHS (CSV, Parquet, Arrow), or the files in a folder.

    A table's fingerprint is that of its rows: the same in any order, split and format. A folder's
    is that of its files' names and contents.
    """
    from gnomon.pipeline.datasets.record import encode_record, record_dataset

    found_notes: list[str] = []
    found = record_dataset(
        paths,
        tell=found_notes.extend,
        beside=out.parent if out else Path(),
        dialect=dialect(),
        cache=None if no_cache else _cache(),
        workers=workers,
    )
    if out is not None:
        out.write_bytes(encode_record(found))
    payload = {
        "kind": found.kind,
        "fingerprint": found.fingerprint,
        "rows": found.rows,
        "files": len(found.files),
        "bytes": sum(entry.size for entry in found.files),
        "notes": found_notes,
    }
    what = f"{found.rows:,} rows in " if found.kind == "table" else ""

    def render() -> None:
        show(
            styled(found.fingerprint, "bold"),
            f"\n{what}{payload['files']:,} files, "
            f"{payload['bytes']:,} bytes{f' → {out}' if out else ''}",
        )
        show_notes(found_notes)

    emit(payload, as_json=as_json, render=render)


@dataset.command()
@click.argument("record", type=FILE)
@_workers_option
@_cache_option
@json_option
def check(record: Path, workers: int, no_cache: bool, as_json: bool) -> int:
    """List the files that changed since RECORD was written; exit with 1 if the data changed.

    Files that were split, sorted or rewritten with the same rows are listed, but are the same
    data.
    """
    from gnomon.pipeline.datasets.record import check_record, decode_record

    changes = check_record(
        decode_record(record.read_bytes()),
        record.parent,
        cache=None if no_cache else _cache(),
        workers=workers,
    )
    files = {"changed": changes.changed, "added": changes.added, "removed": changes.removed}
    payload = {"same": changes.is_same, "fingerprint": changes.fingerprint, **files}

    def render() -> None:
        for what, names in files.items():
            for name in names[:_SHOWN]:
                show(f"{what:8} {name}")
            if len(names) > _SHOWN:
                show(f"{what:8} … {len(names) - _SHOWN:,} more")
        same, other = styled("the same data", "green"), styled("other data", "red")
        show(same if changes.is_same else other, f" {changes.fingerprint}")

    emit(payload, as_json=as_json, render=render)
    return 0 if changes.is_same else 1


@dataset.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--columns", default="", metavar="A,B,…", help="Default: all that make a field.")
@click.option("--block", default="", help="Column of days (or numbers) that belong together.")
@csv_options
@click.option("--cluster", default="", help="Scheduler of a Dask cluster: tcp://host:8786.")
@_workers_option
@json_option
def profile(
    paths: tuple[Path, ...],
    columns: str,
    block: str,
    dialect: Callable[[], "CsvDialect"],
    cluster: str,
    workers: int,
    as_json: bool,
) -> None:
    """Profile the table in PATHS in one pass: suggested fields, and the distribution of values.

    With --json, fields and reference are those of a package's profile.
    """
    from gnomon.pipeline.datasets.pieces import reading_notes, table_pieces
    from gnomon.pipeline.profiles.notes import profile_notes
    from gnomon.pipeline.profiles.pieces import profile_pieces
    from gnomon.pipeline.profiles.spread import in_processes, on_cluster

    pieces = table_pieces(paths, dialect())
    fields, reference = profile_pieces(
        pieces,
        split_names(columns),
        block=block,
        run=on_cluster(cluster) if cluster else in_processes(workers),
    )
    notes = reading_notes(pieces) + profile_notes(pieces, fields, block)
    payload = {
        "rows": reference.rows,
        "fields": [field.to_dict() for field in fields],
        "reference": reference.to_dict(),
        "notes": notes,
    }

    def render() -> None:
        rows = [
            [
                field.name,
                field.kind.value,
                f"{100 * one.counts[one.missing_cell] / max(reference.rows, 1):.2f} %",
                f"{one.bins} categories" if one.kind == "category" else f"{one.mean:.6g}",
                "" if one.kind == "category" else f"{one.minimum:.6g} … {one.maximum:.6g}",
                f"{one.design_effect:.1f}" if block else "",
            ]
            for field, one in zip(fields, reference.fields, strict=True)
        ]
        names = ["field", "kind", "missing", "mean", "range", "design effect"]
        show(table(f"{reference.rows:,} rows", names, rows))
        show_notes(notes)

    emit(payload, as_json=as_json, render=render)


def _cache() -> "FileCache":
    """Return this user's cache, under `XDG_CACHE_HOME` or `~/.cache`."""
    from gnomon.pipeline.datasets.file_cache import FileCache

    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return FileCache(Path(home).expanduser() / "gnomon" / "files.sqlite")
