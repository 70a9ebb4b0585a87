"""`gnomon hub backup`, `restore`, `migrate`, `doctor` and `sweep`: a hub's state."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gnomon.command.shared.output import emit, json_option, show, table
from gnomon.command.shared.settings_options import load_settings, settings_command
from gnomon.runtime.errors import ConfigurationError, StorageError

if TYPE_CHECKING:
    from gnomon.server.hub.doctor import Finding

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command(cls=settings_command("hub"))
@click.argument("out", type=click.Path(path_type=Path))
@json_option
@click.pass_obj
def backup(config_file: str | None, /, out: Path, as_json: bool, **flags: Any) -> None:
    """Copy the hub's state to the new folder OUT, also while the hub runs.

    It holds the authority's private key: keep it as safe as the hub.
    """
    from gnomon.server.hub.backup import backup

    settings = load_settings("hub", config_file, flags)
    findings = backup(settings.data_folder, out, settings.blob_url)
    _show(findings, f"backup of the hub in {out}", as_json=as_json)


@click.command(cls=settings_command("hub"))
@click.argument("saved", metavar="BACKUP", type=_FOLDER)
@json_option
@click.pass_obj
def restore(config_file: str | None, /, saved: Path, as_json: bool, **flags: Any) -> None:
    """Make the hub's data folder from BACKUP; there must be none yet."""
    from gnomon.server.hub.backup import restore

    settings = load_settings("hub", config_file, flags)
    findings = restore(saved, settings.data_folder, settings.blob_url)
    _show(findings, f"restored to {settings.data_folder}", as_json=as_json)


@click.command(cls=settings_command("hub"))
@json_option
@click.pass_obj
def migrate(config_file: str | None, /, as_json: bool, **flags: Any) -> None:
    """Bring the hub's database to the schema of this Gnomon; the hub must be stopped.

    `gnomon hub run` does so too. No other command migrates: a hub of an earlier Gnomon that still
    runs could not go on. The earlier one cannot read the database afterwards.
    """
    from gnomon.server.hub.state import migrate
    from gnomon.server.hub.store.migrations import HEAD

    settings = load_settings("hub", config_file, flags)
    migrate(settings)
    emit({"schema": HEAD}, as_json=as_json, render=lambda: show(f"the schema is {HEAD}"))


@click.command(cls=settings_command("hub"))
@json_option
@click.pass_obj
def doctor(config_file: str | None, /, as_json: bool, **flags: Any) -> int:
    """Examine the hub's database, audit chain, content and signed metadata; exit code 1 if
    something is wrong."""
    from gnomon.server.hub.doctor import Finding, examine
    from gnomon.server.hub.metadata_check import check_metadata
    from gnomon.server.hub.state import open_blobs, open_database

    settings = load_settings("hub", config_file, flags)
    try:
        database = open_database(settings, must_exist=True)
        with closing(database):
            blobs = open_blobs(settings, database)
            findings = examine(database, blobs, settings.data_folder)
            findings.append(check_metadata(database, settings.data_folder))
    except StorageError as error:
        findings = [Finding("database", 1, (str(error),))]
    _show(findings, f"examined {settings.data_folder}", as_json=as_json)
    return 0 if all(finding.is_sound for finding in findings) else 1


@click.command(cls=settings_command("hub"))
@click.option("--dry-run", is_flag=True, help="Only say what would be deleted.")
@json_option
@click.pass_obj
def sweep(config_file: str | None, /, dry_run: bool, as_json: bool, **flags: Any) -> None:
    """Delete content that no package names, also while the hub runs.

    A hub does so by itself every six hours. Kept is what was uploaded, or asked for by a builder,
    within the last `keep_unnamed_blob_days`.
    """
    from gnomon.server.hub.state import open_blobs, open_database
    from gnomon.server.hub.store.clock import DAY_MS, now_ms
    from gnomon.server.hub.versions import sweeping

    settings = load_settings("hub", config_file, flags)
    if not settings.keep_unnamed_blob_days:
        raise ConfigurationError("keep_unnamed_blob_days is 0: such content is kept for ever")
    before = now_ms() - settings.keep_unnamed_blob_days * DAY_MS
    with closing(open_database(settings, must_exist=True)) as database:
        blobs = open_blobs(settings, database)
        found = (sweeping.find if dry_run else sweeping.sweep)(database, blobs, before)
    emit(
        {"blobs": list(found.digests), "bytes": found.bytes, "deleted": not dry_run},
        as_json=as_json,
        render=lambda: show(
            "would delete" if dry_run else "deleted",
            f" {len(found.digests):,} blobs that no package names, {found.bytes:,} bytes",
        ),
    )


def _show(findings: "Sequence[Finding]", title: str, *, as_json: bool) -> None:
    payload = [
        {
            "check": one.check,
            "examined": one.examined,
            "faults": list(one.faults),
            "remark": one.remark,
        }
        for one in findings
    ]
    rows = [
        [one.check, one.examined, "\n".join(one.faults) or "sound", one.remark] for one in findings
    ]
    emit(
        payload,
        as_json=as_json,
        render=lambda: show(table(title, ["check", "examined", "found", ""], rows)),
    )
