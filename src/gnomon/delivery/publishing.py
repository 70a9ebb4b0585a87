"""Publishes a build to the registry: test each package, attest the result, push it."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

from gnomon.client.registry import BuilderSettings, RegistryClient
from gnomon.delivery.smoke_test import SmokeReport, attest, smoke_test
from gnomon.pipeline.steps.record import PipelineRun
from gnomon.runtime.errors import Conflict, PackageError
from gnomon.runtime.files import sync_folder
from gnomon.runtime.packages import layout
from gnomon.runtime.packages.attesting import attest as attest_package
from gnomon.runtime.packages.chunks import sha256
from gnomon.runtime.packages.manifest import decode_manifest
from gnomon.runtime.packages.signing import RUN_PREDICATE_TYPE, Signer, TrustStore

__all__ = ["attest_run", "export", "publish_all"]


def export(package: Path, folder: Path) -> Path:
    """Copy a package to `folder/name-version-format` and return that; it may exist already.

    Raises:
        Conflict: another package is there.
    """
    content = (package / layout.MANIFEST).read_bytes()
    manifest = decode_manifest(content)
    target = folder / f"{manifest.name}-{manifest.version}-{manifest.format}"
    if target.exists():
        if (target / layout.MANIFEST).read_bytes() != content:
            raise Conflict(
                f"{target} holds another build of {manifest.reference}; a version never changes: "
                "give the build another version"
            )
        return target
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{target.name}.{uuid4().hex}.new"
    try:
        shutil.copytree(package, temporary)
        temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    sync_folder(folder)
    return target


def publish_all(
    packages: Sequence[Path], run: PipelineRun, signer: Signer, settings: BuilderSettings
) -> None:
    """Run each package's smoke test, attest the result and the run, and push what passed.

    Args:
        packages: folders of the packages.
        run: which made them.
        signer: whose key attests.
        settings: of the builder.

    Raises:
        PackageError: a package failed; it and those after it are not pushed.
        HubUnavailable: the hub cannot be reached; publishing again continues from there.
    """
    trust = TrustStore([signer.public_key])
    with RegistryClient(settings) as registry:
        for path in packages:
            report = smoke_test(path, trust)
            attest(report, path, signer)
            _refuse_failed(report)
            attest_run(run, path, signer)
            registry.push(registry.open(path))


def attest_run(run: PipelineRun, path: Path, signer: Signer) -> Path:
    """State among the attestations of a package which run made it, of what code and data."""
    content = (path / layout.MANIFEST).read_bytes()
    return attest_package(
        path,
        decode_manifest(content).reference,
        sha256(content),
        signer,
        kind="run",
        predicate={
            "run": run.id,
            "pipeline": run.pipeline,
            "code_version": run.code_version,
            "code_clean": run.code_clean,
            "datasets": [one["fingerprint"] for one in run.datasets],
        },
        predicate_type=RUN_PREDICATE_TYPE,
    )


def _refuse_failed(report: SmokeReport) -> None:
    failed = [f"{check.name}: {check.detail}" for check in report.checks if not check.passed]
    if failed:
        raise PackageError(f"{report.package} failed its test deployment: {'; '.join(failed)}")
