"""`gnomon package test`: a test deployment."""

from pathlib import Path

import click
from rich.text import Text

from gnomon.command.shared.output import emit, json_option, show, styled, table
from gnomon.command.shared.package_options import FOLDER, parse_keys, signing_key_option
from gnomon.runtime.packages.signing import Signer, TrustStore


@click.command("test")
@click.argument("path", type=FOLDER)
@click.option(
    "--trust", "keys", multiple=True, help="Trusted public key, hex or a file; none: unsigned."
)
@signing_key_option
@click.option("--p99-us", type=float, help="Fail if the 99th percentile takes longer.")
@click.option("--runs", default=500, show_default=True, help="Predictions to measure.")
@json_option
def smoke_test_command(
    path: Path,
    keys: tuple[str, ...],
    key_file: Path | None,
    p99_us: float | None,
    runs: int,
    as_json: bool,
) -> int:
    """Deploy the package at PATH for a test, as its target would; exit with 1 if it fails.

    It is checked against this machine's memory, processor and system, installed into an empty
    folder, loaded by a fresh process, made to repeat its golden samples, and measured. With --key,
    the outcome is signed and added to the package's attestations; its digest stays the same.
    """
    from gnomon.delivery.smoke_test import Limits, attest, smoke_test

    signer = Signer.load(key_file) if key_file else None
    trust = TrustStore(parse_keys(keys)) if keys else None
    report = smoke_test(path, trust, Limits(p99_us=p99_us, runs=runs))
    payload = report.to_dict()
    if signer is not None:
        payload["attestation"] = str(attest(report, path, signer))

    def render() -> None:
        rows = [[check.name, _verdict(check.passed), check.detail] for check in report.checks]
        title = f"Test deployment of {report.package} ({report.format})"
        show(table(title, ["what", "", "found"], rows))
        signed = f"; attested in {payload['attestation']}" if signer else "; not attested"
        show(_verdict(report.passed), f" {report.digest}{signed}")

    emit(payload, as_json=as_json, render=render)
    return 0 if report.passed else 1


def _verdict(is_passed: bool) -> Text:
    return styled("passed", "green") if is_passed else styled("failed", "red")
