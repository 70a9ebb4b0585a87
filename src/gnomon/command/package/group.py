"""`gnomon package`: build, inspect, verify, push and pull packages."""

from pathlib import Path
from typing import Any

import click
import msgspec

from gnomon.command.package.approval import approve
from gnomon.command.package.build import build, import_command
from gnomon.command.package.init import init
from gnomon.command.package.provenance import bom, rebuild
from gnomon.command.package.push_pull import pull, push
from gnomon.command.package.smoke_test import smoke_test_command
from gnomon.command.shared.output import emit, json_option, show, styled, table
from gnomon.command.shared.package_options import FOLDER, parse_keys
from gnomon.runtime.errors import ConfigurationError
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.signing import Signer, TrustStore


@click.group()
def package() -> None:
    """Build, inspect, verify, push and pull packages."""


@package.command()
@click.argument("path", type=click.Path(path_type=Path))
@json_option
def key(path: Path, as_json: bool) -> None:
    """Make a signing key at PATH (PEM, for its owner only); its public half goes to PATH.pub."""
    public = path.with_name(f"{path.name}.pub")
    for file in (path, public):
        if file.exists():
            raise ConfigurationError(f"{file} exists; a key is never overwritten")
    signer = Signer.generate()
    signer.save(path)
    public.write_text(f"{signer.public_key.hex()}\n", encoding="ascii")
    payload = {"key": str(path), "public_key": signer.public_key.hex(), "key_id": signer.key_id}
    emit(
        payload,
        as_json=as_json,
        render=lambda: show(
            "public key ",
            styled(payload["public_key"], "bold"),
            f" → {public}; packages name it {signer.key_id[:16]}",
        ),
    )


@package.command()
@click.argument("path", type=FOLDER)
@click.option("--key", "keys", multiple=True, help="Trusted key, hex or a file; none: unsigned.")
@json_option
def inspect(path: Path, keys: tuple[str, ...], as_json: bool) -> None:
    """Show what the package at PATH holds. Everything is verified, its signature with --key."""
    opened = Package.open(path, TrustStore(parse_keys(keys)) if keys else None)
    manifest = opened.manifest
    payload: dict[str, Any] = {
        "package": opened.reference,
        "format": manifest.format,
        "digest": opened.digest,
        "inputs": [_describe(field) for field in opened.profile.inputs],
        "outputs": [_describe(field) for field in opened.profile.outputs],
        "rules": [rule.expression for rule in opened.profile.rules],
        "golden_samples": len(opened.golden.rows),
        "reference_rows": opened.profile.input_reference.rows,
        "test_metrics": manifest.reproducibility.test_metrics,
        "test_metrics_by_segment": manifest.reproducibility.test_metrics_by_segment or {},
        "card": manifest.card,
        "card_sections": msgspec.to_builtins(manifest.card_sections or {}),
        "dataset": manifest.reproducibility.dataset_uri,
        "fingerprint": manifest.reproducibility.dataset_fingerprint,
        "code_version": manifest.reproducibility.code_version,
        "files": {entry.path: entry.size for entry in manifest.files},
        "risk_tier": manifest.risk_tier,
        "owner": manifest.owner,
        "attestations": len(opened.envelopes),
    }
    emit(payload, as_json=as_json, render=lambda: _render(payload))


@package.command()
@click.argument("path", type=FOLDER)
@click.option(
    "--key", "keys", multiple=True, required=True, help="Trusted public key: hex or a file."
)
@json_option
def verify(path: Path, keys: tuple[str, ...], as_json: bool) -> None:
    """Verify the package at PATH: every file, and a signature by a trusted key."""
    opened = Package.open(path, TrustStore(parse_keys(keys)))
    payload = {
        "package": opened.reference,
        "digest": opened.digest,
        "signers": list(opened.signers),
    }
    emit(
        payload,
        as_json=as_json,
        render=lambda: show(
            styled("verified", "green"),
            f" {opened.reference} {opened.digest}\nsigned by {', '.join(opened.signers)}",
        ),
    )


def _describe(field: Any) -> dict[str, Any]:
    return {name: value for name, value in field.to_dict().items() if value is not None}


def _render(payload: dict[str, Any]) -> None:
    """Show a package to a person."""
    show(
        styled(payload["package"], "bold"),
        f" ({payload['format']}) {payload['digest']}\n"
        f"data {payload['dataset']} {payload['fingerprint']}\ncode {payload['code_version']}; "
        f"{payload['golden_samples']} golden samples; "
        f"profile of {payload['reference_rows']:,} rows",
    )
    for side in ("inputs", "outputs"):
        rows = [[field["name"], field["kind"], _rules(field)] for field in payload[side]]
        show(table(side.capitalize(), ["field", "kind", "rules"], rows))
    for rule in payload["rules"]:
        show(f"rule  {rule}")
    _render_metrics(payload)
    if payload["card"]:
        show(styled("Card", "bold"), f"\n{payload['card']}")
    for name, text in payload["card_sections"].items():
        show(styled(name.capitalize(), "bold"), f"\n{text}")


def _render_metrics(payload: dict[str, Any]) -> None:
    """Show each metric with its interval, of all test rows and of each segment."""
    rows = []
    parts = {"all": payload["test_metrics"], **payload["test_metrics_by_segment"]}
    for segment, metrics in parts.items():
        for name, value in metrics.items():
            if not name.endswith(("_low", "_high")):
                bounds = [metrics.get(f"{name}_{side}") for side in ("low", "high")]
                shown = "" if None in bounds else f"{bounds[0]:.4g} … {bounds[1]:.4g}"
                rows.append([segment, name, f"{value:.4g}", shown])
    show(table("Test metrics", ["rows", "metric", "value", "95 %"], rows))


def _rules(field: dict[str, Any]) -> str:
    """Return a field's hard rules in one line."""
    parts = []
    if "minimum" in field or "maximum" in field:
        parts.append(f"{field.get('minimum', '−∞')} … {field.get('maximum', '∞')}")
    if field.get("allowed"):
        allowed = field["allowed"]
        shown = ", ".join(map(str, allowed[:4]))
        parts.append(f"one of {len(allowed)}: {shown}{', …' if len(allowed) > 4 else ''}")
    parts.append("may be missing" if field.get("nullable") else "must be there")
    return "; ".join(parts)


for _command in (
    init,
    build,
    import_command,
    push,
    pull,
    smoke_test_command,
    approve,
    rebuild,
    bom,
):
    package.add_command(_command)
