"""`gnomon trust`: the signed metadata of a hub, and the folder in which an operator signs it."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate

import click

from gnomon.command.shared.hub_command import CommandResult, as_line, as_table, hub_command
from gnomon.command.shared.output import emit, json_option, readable, show, table
from gnomon.command.shared.package_options import MODELS, key_in_hex
from gnomon.runtime.packages.package import Package
from gnomon.runtime.trust.offline import OfflineMetadata

if TYPE_CHECKING:
    from gnomon.client.hub import HubClient

_ROLE = click.option(
    "--role", default="targets", show_default=True, help="Who lists it, if it was delegated."
)
_FOLDER = click.argument("folder", type=click.Path(path_type=Path, file_okay=False))


def _offline_command(
    function: Callable[Concatenate[OfflineMetadata, ...], None],
) -> Callable[..., Any]:
    """Call a function with the metadata in a folder, and print who has signed them then.

    The metadata are the first argument. The command has the argument FOLDER besides its own.
    """

    @functools.wraps(function)
    def command(folder: Path, as_json: bool, **arguments: Any) -> None:
        metadata = OfflineMetadata(folder)
        function(metadata, **arguments)
        _report(metadata, as_json)

    return json_option(command)


def _folder_command(name: str) -> Callable[[Callable[..., Any]], click.Command]:
    """Add a command with the argument FOLDER, before its others."""
    return lambda function: trust.command(name)(_FOLDER(function))


def _report(metadata: OfflineMetadata, as_json: bool) -> None:
    found = metadata.signatures()
    payload = [
        {
            "role": one.role,
            "version": one.version,
            "signatures": one.signatures,
            "threshold": one.threshold,
            "expires_at": one.expires_at,
        }
        for one in found
    ]
    rows = []
    for one in found:
        is_signed = "yes" if one.is_signed else "no"
        rows.append([one.role, one.version, f"{one.signatures} of {one.threshold}", is_signed])
    columns = ["role", "version", "signatures", "is signed"]
    title = f"Metadata in {metadata.folder}"
    emit(payload, as_json=as_json, render=lambda: show(table(title, columns, rows)))


@click.group()
def trust() -> None:
    """Say what nodes trust: metadata that the hub signs, or an operator offline.

    \b
    Offline, away from the hub's machine except for the first and the last line:
      gnomon trust export FOLDER      the hub's metadata
      gnomon trust init FOLDER        take the keys of root and targets over
      gnomon trust add-key FOLDER KEY trust a builder's key
      gnomon trust import FOLDER      give the hub what was signed
    """


@trust.command("show")
@hub_command
def show_trust(client: "HubClient") -> CommandResult:
    """Show the hub's mode, the keys that nodes trust, and what expires when."""
    payload = client.get("trust")
    rows = [["mode", payload["mode"]]]
    rows += [["package key", key] for key in payload["package_keys"]]
    limited = payload.get("limited_keys", {})
    rows += [["package key", f"{key}, for {models}"] for key, models in limited.items()]
    rows.append(["listed packages only", str(payload["listed_packages_only"]).lower()])
    for role in payload["roles"]:
        until = readable("expires_at", role["expires_at"])
        signers = ", ".join(role["keys"])
        stated = f"version {role['version']}, until {until}, signed by {signers}"
        rows.append([role["role"], stated])
    return as_table(payload, "Signed metadata", ["what", "value"], rows)


@trust.command()
@hub_command
def rotate(client: "HubClient") -> CommandResult:
    """Replace all keys that the hub signs with; in simple mode, and after a break-in."""
    payload = client.post("trust/rotate")
    return as_line(payload, f"all keys replaced; root {payload['versions']['root']}")


@_folder_command("export")
@hub_command
def export(client: "HubClient", folder: Path) -> CommandResult:
    """Write the hub's root and targets to FOLDER, to be signed there."""
    files = client.get("trust/metadata")
    OfflineMetadata(folder).write(files)
    return as_line({"folder": str(folder)}, f"exported to {folder}")


@_folder_command("import")
@hub_command
def import_metadata(client: "HubClient", folder: Path) -> CommandResult:
    """Give the hub the root and targets of FOLDER; it takes them only if they are signed."""
    files = [{"role": role, "data": data.decode()} for role, data in OfflineMetadata(folder).read()]
    payload = client.post("trust/metadata", {"files": files})
    versions = ", ".join(f"{role} {number}" for role, number in payload["versions"].items())
    return as_line(payload, f"the hub has {versions}")


@_folder_command("init")
@click.option("--root-keys", type=click.IntRange(1, 16), default=1, show_default=True)
@click.option(
    "--threshold", type=int, default=1, show_default=True, help="How many of them must sign."
)
@click.option(
    "--listed-packages-only", is_flag=True, help="Nodes take only packages that are listed."
)
@_offline_command
def init(
    metadata: OfflineMetadata, root_keys: int, threshold: int, listed_packages_only: bool
) -> None:
    """Make keys of root and targets in FOLDER, in place of the hub's: offline mode.

    Keep FOLDER/keys away from the hub, with a copy. Import the folder once more, so that the hub
    signs the root that hands its keys over.
    """
    metadata.take_over(root_keys, threshold, listed_packages_only=listed_packages_only)


@_folder_command("replace-hub-keys")
@hub_command
def replace_hub_keys(client: "HubClient", folder: Path) -> CommandResult:
    """Have the hub make new keys, and name them in FOLDER: after a break-in in offline mode.

    Import the folder then. Nodes forget numbers and time that a thief of the former keys signed.
    """
    payload = client.post("trust/online-keys")
    OfflineMetadata(folder).replace_hub_keys(payload)
    return as_line(payload, f"new keys named in {folder}; import it now")


@_folder_command("delegate")
@click.argument("role")
@click.option("--model", "models", multiple=True, required=True, help="A name, or eta-*.")
@_offline_command
def delegate(metadata: OfflineMetadata, role: str, models: tuple[str, ...]) -> None:
    """Let ROLE, with a new key in FOLDER/keys, list the packages of some models."""
    metadata.delegate(role, models)


@_folder_command("rotate-root")
@_offline_command
def rotate_root(metadata: OfflineMetadata) -> None:
    """Replace the root's keys in FOLDER by new ones."""
    metadata.rotate_root()


@_folder_command("add-key")
@click.argument("key", callback=key_in_hex)
@MODELS
@_offline_command
def add_key(metadata: OfflineMetadata, key: str, models: str) -> None:
    """Trust packages that the public KEY (hex or file) signed, of models that match the pattern."""
    metadata.add_key(key, models)


@_folder_command("remove-key")
@click.argument("key", callback=key_in_hex)
@_offline_command
def remove_key(metadata: OfflineMetadata, key: str) -> None:
    """Trust packages that the public KEY (hex or file) signed no longer."""
    metadata.remove_key(key)


@_folder_command("add-package")
@click.argument("package", type=click.Path(path_type=Path, exists=True, file_okay=False))
@_ROLE
@_offline_command
def add_package(metadata: OfflineMetadata, package: Path, role: str) -> None:
    """List the package at PACKAGE, for nodes that take only listed packages."""
    metadata.add_package(Package.open(package, None), role)


@_folder_command("remove-package")
@click.argument("path", metavar="NAME/VERSION/FORMAT")
@_ROLE
@_offline_command
def remove_package(metadata: OfflineMetadata, path: str, role: str) -> None:
    """List a package no longer."""
    metadata.remove_package(path, role)


@_folder_command("sign")
@click.option("--renew-days", type=click.FloatRange(min=0, min_open=True))
@_offline_command
def sign(metadata: OfflineMetadata, renew_days: float | None) -> None:
    """Sign root and targets with the keys in FOLDER/keys, beside the signatures of others.

    With --renew-days it makes new versions first, which expire then.
    """
    if renew_days is not None:
        metadata.renew(renew_days)
    metadata.sign()
