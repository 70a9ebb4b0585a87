"""A smoke test: a package is deployed on a test folder as its target will deploy it.

The package is verified, compared with this machine's resources, installed from its chunks into an
empty folder, loaded by a new process, checked against its golden samples, and measured. Run it on
the kind of machine that is the target. The result can be attested.
"""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from gnomon.delivery.smoke_test_worker import WorkerRequest, WorkerResult
from gnomon.delivery.worker_process import run_worker
from gnomon.runtime.engines import available_engines
from gnomon.runtime.errors import EngineError
from gnomon.runtime.packages import attesting
from gnomon.runtime.packages.package import FORMATS_THAT_RUN_CODE, Package
from gnomon.runtime.packages.requirements import other_versions, this_machine, unmet
from gnomon.runtime.packages.signing import TEST_PREDICATE_TYPE, Signer, TrustStore
from gnomon.runtime.packages.slots import Slots

__all__ = ["Limits", "SmokeCheck", "SmokeReport", "attest", "smoke_test"]


@dataclass(frozen=True, slots=True)
class SmokeCheck:
    """One check; `detail` says what was found."""

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of a smoke test; None: no limit. Latencies are those of single rows."""

    p99_us: float | None = None
    runs: int = 500
    timeout_seconds: float = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SmokeReport:
    """The result of a smoke test: the checks in their order, and the figures that were measured."""

    package: str
    format: str
    digest: str
    tested_at: str
    machine: Mapping[str, Any]
    checks: tuple[SmokeCheck, ...]
    figures: Mapping[str, float]

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """Return it in plain JSON types."""
        return {"passed": self.passed, **asdict(self)}


def smoke_test(path: Path, trust: TrustStore | None, limits: Limits | None = None) -> SmokeReport:
    """Deploy a package for a test and return the result.

    `trust=None` says openly that no signature is required, which fails no check.

    Raises:
        PackageError: it is damaged or contradicts itself, so there is nothing to test.
        UntrustedPackage: no trusted key signed it.
        StorageError: the disk has no space to install it.
    """
    package = Package.open(path, trust)
    limits = limits or Limits()
    machine = this_machine()
    checks = [_signature(package), _needs(package), _engine(package), *_dependencies(package)]
    figures: dict[str, float] = {}
    if all(check.passed for check in checks):
        outcome = _run(package, limits)
        checks += _run_checks(package, outcome, limits)
        figures = {
            name: value
            for name, value in msgspec.to_builtins(outcome).items()
            if name not in ("error", "is_loaded")
        }
    return SmokeReport(
        package=package.reference,
        format=package.manifest.format,
        digest=package.digest,
        tested_at=datetime.now(UTC).isoformat(timespec="seconds"),
        machine={
            "system": machine.system,
            "architecture": machine.architecture,
            "memory_mib": machine.memory_mib,
            "gnomon": machine.runtime_version,
            "python": ".".join(map(str, sys.version_info[:3])),
        },
        checks=tuple(checks),
        figures=figures,
    )


def attest(report: SmokeReport, path: Path, signer: Signer) -> Path:
    """Write the result, passed or failed, to the package's attestations; return the file.

    It changes nothing of the package's digest, and does not count as its builder's signature.
    """
    return attesting.attest(
        path,
        report.package,
        report.digest,
        signer,
        kind="test",
        predicate=report.to_dict(),
        predicate_type=TEST_PREDICATE_TYPE,
    )


def _signature(package: Package) -> SmokeCheck:
    names = ", ".join(name[:16] for name in package.signers)
    return SmokeCheck("signature", True, f"signed by {names}" if names else "not asked for")


def _needs(package: Package) -> SmokeCheck:
    missing = unmet(package.manifest.needs, this_machine())
    return SmokeCheck("needs", not missing, "; ".join(missing) or "this machine has what it needs")


def _engine(package: Package) -> SmokeCheck:
    wanted, engines = package.manifest.format, available_engines()
    return SmokeCheck(
        "engine", wanted in engines, f"{wanted}; here run {', '.join(engines) or 'none'}"
    )


def _dependencies(package: Package) -> Iterator[SmokeCheck]:
    """Yield differences from the versions of the build; only code needs the exact ones."""
    different = other_versions(package.manifest.dependencies)
    exact = package.manifest.format in FORMATS_THAT_RUN_CODE
    text = "; ".join(different) or "the versions of the build"
    yield SmokeCheck("dependencies", not different or not exact, text)


def _run(package: Package, limits: Limits) -> WorkerResult:
    """Install the package into an empty folder and test it there, in a new process."""
    signer = Signer.generate()
    # A temporary key: whether a trusted key signed the package was checked on opening.
    own = signer.sign_package(package.digest, package.manifest.name, package.manifest.version)
    with TemporaryDirectory(prefix="gnomon-smoke-test-") as folder:
        slots = Slots(Path(folder))
        for digest, data in package.iter_blobs():
            slots.put(digest, data)
        slots.install(package.digest, (own,), TrustStore([signer.public_key]))
        request = WorkerRequest(folder, package.digest, (signer.public_key,), limits.runs)
        command = [sys.executable, "-I", "-m", "gnomon.delivery.smoke_test_worker"]
        try:
            return run_worker(command, request, WorkerResult, seconds=limits.timeout_seconds)
        except EngineError as error:
            return WorkerResult(error=str(error))


def _run_checks(package: Package, outcome: WorkerResult, limits: Limits) -> Iterator[SmokeCheck]:
    samples = f"{len(package.golden.rows)} golden samples"
    yield SmokeCheck(
        "load",
        outcome.is_loaded,
        outcome.error if not outcome.is_loaded else f"in {outcome.load_ms:.1f} ms",
    )
    if not outcome.is_loaded:
        return
    yield SmokeCheck("golden", not outcome.error, outcome.error or f"{samples} came out the same")
    if outcome.error:
        return
    measured = f"p50 {outcome.p50_us:.1f} µs, p99 {outcome.p99_us:.1f} µs of {outcome.runs} rows"
    limit = limits.p99_us
    allowed = f"; at most {limit:g} µs are allowed" if limit is not None else ""
    yield SmokeCheck("latency", limit is None or outcome.p99_us <= limit, measured + allowed)
    declared = package.manifest.needs.memory_mib
    used = f"{outcome.process_mib:.0f} MiB in all, {outcome.model_mib:.1f} of it for the model"
    text = f"; the manifest says {declared}" if declared else "; the manifest has no limit"
    yield SmokeCheck("memory", not declared or outcome.process_mib <= declared, used + text)
