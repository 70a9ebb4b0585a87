"""`gnomon package rebuild` and `bom`: build again from the record, and export it."""

from pathlib import Path

import click

from gnomon.command.shared.isolation import in_empty_folder
from gnomon.command.shared.output import emit, json_option, printable, show, styled
from gnomon.command.shared.package_options import (
    FOLDER,
    keys_in_hex,
    parse_keys,
    signing_key_option,
)
from gnomon.runtime.errors import ConfigurationError
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.signing import Signer, TrustStore

_trust_option = click.option(
    "--trust",
    "keys",
    multiple=True,
    callback=keys_in_hex,
    help="Trusted public key, hex or a file; none: unsigned.",
)


@click.command()
@click.argument("path", type=FOLDER)
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--data", "beside", required=True, type=FOLDER, help="Folder of the recipe's files.")
@click.option(
    "--trust",
    "keys",
    multiple=True,
    callback=keys_in_hex,
    help="Trusted public key, hex or a file, that signed the package.",
)
@click.option(
    "--unsigned",
    is_flag=True,
    help="Follow the record of an unsigned package; it may query no database.",
)
@signing_key_option
@json_option
@in_empty_folder
def rebuild(
    path: Path,
    out: Path,
    beside: Path,
    keys: tuple[str, ...],
    unsigned: bool,
    key_file: Path | None,
    as_json: bool,
) -> int:
    """Build the package at PATH again as folder OUT, from its record and the data in a folder.

    The signature is verified first; then the files and the query of the record are shown on
    standard error. The query runs in a read-only transaction. Exits with 1 if the fingerprint of
    the data differs, or a metric by more than a millionth.
    """
    from gnomon.pipeline.rebuild import describe_plan, recorded_recipe
    from gnomon.pipeline.rebuild import rebuild as build_again

    if bool(keys) == unsigned:
        raise ConfigurationError(
            "name the key that signed the package (--trust), or say that it is not signed "
            "(--unsigned)"
        )
    package = Package.open(path, TrustStore(parse_keys(keys)) if keys else None)
    for line in describe_plan(recorded_recipe(package, beside)):
        click.echo(f"{package.reference} {printable(line)}", err=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    found = build_again(package, beside, out, Signer.load(key_file) if key_file else None)
    payload = {
        "package": package.reference,
        "recorded_digest": package.digest,
        "digest": found.package.digest,
        "same_digest": found.is_same,
        "within_tolerance": found.is_within,
        "differences": list(found.differences),
    }

    def render() -> None:
        for difference in found.differences:
            show(difference)
        verdict, remark = styled("not reproduced", "red"), ""
        if found.is_within:
            verdict, remark = styled("the same data and metrics", "green"), ", another digest"
        if found.is_same:
            verdict, remark = styled("the same digest", "green"), ""
        show(verdict, f"{remark} {found.package.digest}")

    emit(payload, as_json=as_json, render=render)
    return 0 if found.is_same or found.is_within else 1


@click.command()
@click.argument("path", type=FOLDER)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Default: print it.")
@_trust_option
def bom(path: Path, out: Path | None, keys: tuple[str, ...]) -> None:
    """Write the package at PATH as a CycloneDX ML-BOM: model card, data, libraries (JSON)."""
    from gnomon.pipeline.bom import export_bom

    data = export_bom(Package.open(path, TrustStore(parse_keys(keys)) if keys else None))
    if out is None:
        click.echo(data.decode(), nl=False)
    else:
        out.write_bytes(data)
