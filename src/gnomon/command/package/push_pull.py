"""`gnomon package push` and `pull`: a builder and the registry of a hub."""

from pathlib import Path
from typing import Any

import click

from gnomon.command.shared.hub_command import client_options, connect
from gnomon.command.shared.output import emit, json_option, show, styled
from gnomon.command.shared.package_options import FOLDER
from gnomon.command.shared.references import resolve_reference
from gnomon.command.shared.settings_options import load_settings, settings_command


@click.command(cls=settings_command("builder"))
@click.argument("path", type=FOLDER)
@json_option
@click.pass_obj
def push(config_file: str | None, /, path: Path, as_json: bool, **flags: Any) -> None:
    """Send the package at PATH to the hub's registry, with all its attestations.

    The hub takes only what a key that it trusts has signed (`gnomon hub trust`). The first call
    needs a token (`gnomon hub token --role builder`). Content that the hub already has is not sent
    again.
    """
    from gnomon.client.registry import RegistryClient

    with RegistryClient(load_settings("builder", config_file, flags)) as registry:
        package = registry.open(path)
        is_new = registry.push(package)
    payload = {"package": package.reference, "digest": package.digest, "created": is_new}
    verb = "published" if is_new else "already there:"
    emit(
        payload,
        as_json=as_json,
        render=lambda: show(verb, " ", styled(package.reference, "bold"), f" {package.digest}"),
    )


@click.command(cls=settings_command("builder"))
@click.argument("reference", metavar="NAME@VERSION")
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--format", "wanted", help="If the version has several: onnx, tflite, …")
@client_options
@click.pass_obj
def pull(
    config_file: str | None,
    /,
    reference: str,
    out: Path,
    wanted: str | None,
    url: str,
    api_key: str | None,
    as_json: bool,
    **flags: Any,
) -> None:
    """Fetch NAME@VERSION from the hub's registry as folder OUT, and verify all of it.

    It must be signed by a key that the hub trusts. An interrupted download is resumed.
    """
    from gnomon.client.registry import RegistryClient, find_published

    with connect(url, api_key) as client:
        model, version = resolve_reference(client, reference)
        listed = client.get(f"models/{model}/versions/{version}")["packages"]
        published = find_published(listed, version, wanted)
    with RegistryClient(load_settings("builder", config_file, flags)) as registry:
        package = registry.pull(published, out)
    payload = {
        "package": package.reference,
        "format": package.manifest.format,
        "digest": package.digest,
        "path": str(package.path),
        "signers": list(package.signers),
    }
    emit(
        payload,
        as_json=as_json,
        render=lambda: show(
            styled(package.reference, "bold"),
            f" ({package.manifest.format}) → {out}\n"
            f"digest {package.digest}, signed by {', '.join(package.signers)}",
        ),
    )
