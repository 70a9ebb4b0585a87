"""`gnomon hub export` and `import`: a registry's content as a bundle of files."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gnomon.command.shared.output import emit, json_option, show, table
from gnomon.command.shared.package_options import FILE, parse_keys
from gnomon.command.shared.references import choose_version
from gnomon.command.shared.settings_options import load_settings, settings_command
from gnomon.runtime.packages.signing import Signer, TrustStore

if TYPE_CHECKING:
    from gnomon.server.hub.store.database import Database


@click.command(cls=settings_command("hub"))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--key", "key_file", type=FILE, required=True, help="Private key to sign with (PEM).")
@click.option("--only", multiple=True, metavar="NAME[@VERSION]", help="Only this; may be repeated.")
@json_option
@click.pass_obj
def export(
    config_file: str | None,
    /,
    out: Path,
    key_file: Path,
    only: tuple[str, ...],
    as_json: bool,
    **flags: Any,
) -> None:
    """Write the registry's packages, names, tags and runs to OUT: a new folder, or a `.tar`.

    The hub may run meanwhile. Its authority, nodes, principals and telemetry are not exported.
    """
    from gnomon.server.hub.state import open_blobs, open_database
    from gnomon.server.hub.transfer.exporting import export

    settings = load_settings("hub", config_file, flags)
    database = open_database(settings)
    try:
        blobs = open_blobs(settings, database)
        bundle = export(database, blobs, out, Signer.load(key_file), _resolve(database, only))
    finally:
        database.close()
    payload = {
        "bundle": str(out),
        "packages": [f"{one.name}@{one.version} ({one.format})" for one in bundle.packages],
        "runs": len(bundle.runs),
        "bytes": sum(bundle.blobs.values()),
    }
    emit(
        payload,
        as_json=as_json,
        render=lambda: show(
            f"{len(bundle.packages)} packages, {len(bundle.runs)} runs, "
            f"{payload['bytes']:,} bytes of content → {out}"
        ),
    )


def _resolve(database: "Database", only: tuple[str, ...]) -> list[str]:
    """Return models and versions, with the version of each alias instead of it."""
    from gnomon.server.hub.versions import aliases

    resolved = []
    with database.read() as connection:
        for one in only:
            name, separator, version = one.partition("@")
            if separator:
                known = aliases.of_model(connection, name)
                check = partial(aliases.check_version, connection, name, version)
                version = choose_version(name, version, known, check)
            resolved.append(f"{name}{separator}{version}")
    return resolved


@click.command("import", cls=settings_command("hub"))
@click.argument("path", metavar="BUNDLE", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--trust",
    "trusted",
    multiple=True,
    help="Public key that signs bundles, hex or a file; else the keys of builders count.",
)
@json_option
@click.pass_obj
def import_command(
    config_file: str | None,
    /,
    path: Path,
    trusted: tuple[str, ...],
    as_json: bool,
    **flags: Any,
) -> int:
    """Import BUNDLE; exit code 1 if something conflicts with what is here, or is refused.

    Existing entries are not changed, so a bundle may be imported twice. Each package must be signed
    by a key that this hub trusts (`gnomon hub trust`).
    """
    from gnomon.server.hub.access.keys import trust_store
    from gnomon.server.hub.state import open_blobs, open_database
    from gnomon.server.hub.transfer.importing import import_bundle, summary

    settings = load_settings("hub", config_file, flags)
    database = open_database(settings)
    try:
        trust = TrustStore(parse_keys(trusted)) if trusted else trust_store(database)
        blobs = open_blobs(settings, database)
        taken = import_bundle(database, blobs, settings.data_folder, path, trust)
    finally:
        database.close()
    payload = {
        "counts": summary(taken),
        "taken": [
            {
                "what": one.what,
                "name": one.name,
                "outcome": one.outcome.value,
                "reason": one.reason,
            }
            for one in taken
        ],
    }
    rows = [[one.what, one.name, one.outcome.value, one.reason] for one in taken]
    columns = ["what", "name", "", "why"]
    emit(
        payload,
        as_json=as_json,
        render=lambda: show(table(f"Taken from {path}", columns, rows)),
    )
    return 0 if all(one.is_well for one in taken) else 1
