"""`gnomon package approve`: an approval that travels with the package."""

from datetime import UTC, datetime
from pathlib import Path

import click

from gnomon.command.shared.output import emit, json_option, show
from gnomon.command.shared.package_options import FOLDER, parse_keys
from gnomon.runtime.packages.attesting import attest
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.signing import APPROVAL_PREDICATE_TYPE, Signer, TrustStore


@click.command()
@click.argument("path", type=FOLDER)
@click.option(
    "--key",
    "key_file",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="The approver's private key.",
)
@click.option("--env", "environment", default="production", show_default=True)
@click.option(
    "--trust", "keys", multiple=True, help="The builder's public key, hex or a file; none: any."
)
@json_option
def approve(
    path: Path, key_file: Path, environment: str, keys: tuple[str, ...], as_json: bool
) -> None:
    """Sign an approval of the package at PATH for an environment; push the package afterwards.

    It counts at hubs that trust the key as an approver's (`gnomon hub trust KEY --role approver`).
    """
    signer = Signer.load(key_file)
    package = Package.open(path, TrustStore(parse_keys(keys)) if keys else None)
    stated = {
        "environment": environment,
        "approved_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    file = attest(
        path,
        package.reference,
        package.digest,
        signer,
        kind=f"approval-{environment}",
        predicate=stated,
        predicate_type=APPROVAL_PREDICATE_TYPE,
    )
    payload = {"package": package.reference, "digest": package.digest, "attestation": str(file)}
    emit(
        payload,
        as_json=as_json,
        render=lambda: show(f"approved {package.reference} for {environment} in {file}"),
    )
