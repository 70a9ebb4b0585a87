"""Replays a package: its golden samples and recorded requests, compared digit by digit.

The report says for each part whether it agrees to the last digit, within the package's tolerance,
or not, and which parts of the recorded environment could not be recreated.
"""

import enum
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from gnomon.delivery.replay.environment import Environment, rebuild
from gnomon.delivery.replay.worker import ReplayRequest, ReplayResult, RowResult
from gnomon.delivery.worker_process import run_worker
from gnomon.runtime.decoding import UNDECODABLE
from gnomon.runtime.errors import ConfigurationError, EngineError
from gnomon.runtime.packages.attesting import attest
from gnomon.runtime.packages.golden import Golden
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.package_keys import PackageKey
from gnomon.runtime.packages.signing import (
    REPLAY_PREDICATE_TYPE,
    TEST_PREDICATE_TYPE,
    Signer,
    TrustStore,
)

__all__ = [
    "Agreement",
    "Part",
    "RecordedRequest",
    "ReplayReport",
    "attest_replay",
    "read_requests",
    "replay",
]

_SECONDS = 600
_TOLD_CHARACTERS = 500


class Agreement(enum.StrEnum):
    """How answers agree with those recorded; of several, the worst."""

    EXACT = "exact"
    WITHIN_TOLERANCE = "within tolerance"
    DIFFERENT = "different"


class RecordedRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A recorded request: the row as it was sent, and its outputs."""

    row: dict[str, Any]
    outputs: dict[str, Any]
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """One set of rows: how many agree exactly or within tolerance, and the first that differs."""

    what: str
    rows: int
    exact: int
    within_tolerance: int
    first: str = ""

    @property
    def agreement(self) -> Agreement:
        """Return the worst of the rows."""
        if self.exact == self.rows:
            return Agreement.EXACT
        if self.exact + self.within_tolerance == self.rows:
            return Agreement.WITHIN_TOLERANCE
        return Agreement.DIFFERENT


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayReport:
    """The result of a replay. `not_reproduced` lists differences from the recorded environment."""

    package: str
    format: str
    digest: str
    replayed_at: str
    parts: tuple[Part, ...]
    not_reproduced: tuple[str, ...]
    python: str
    machine: str
    versions: Mapping[str, str]

    @property
    def agreement(self) -> Agreement:
        """Return the worst of the parts."""
        order = list(Agreement)
        return max((part.agreement for part in self.parts), key=order.index)

    @property
    def passed(self) -> bool:
        """Whether every digit was reproduced, in the exact environment that was recorded."""
        return self.agreement is Agreement.EXACT and not self.not_reproduced

    def to_dict(self) -> dict[str, Any]:
        """Return it in plain JSON types."""
        parts = [{**asdict(part), "agreement": part.agreement.value} for part in self.parts]
        summary = {"passed": self.passed, "agreement": self.agreement.value}
        return {**summary, **asdict(self), "parts": parts}


def replay(
    path: Path,
    trust: TrustStore | None,
    keys: Sequence[PackageKey],
    *,
    requests: Sequence[RecordedRequest] = (),
    wheelhouse: Path | None = None,
    here: bool = False,
    tell: Callable[[str], object] = lambda line: None,
) -> ReplayReport:
    """Predict a package's golden rows and these requests again; compare with what was recorded.

    With `here` the libraries of this process are taken as they are. `keys` are what `trust` trusts.

    Args:
        path: of the package or archive.
        trust: whose packages count; None: anybody's.
        keys: public keys of those that `trust` trusts.
        requests: kept requests with their answers.
        wheelhouse: folder with the pinned libraries; None: an index.
        here: with the libraries of this process.
        tell: is called with a line for each thing that is about to be installed or run.

    Raises:
        UntrustedPackage: no trusted key signed the package.
        PackageError: it is damaged.
        EngineError: the model cannot be run at all; the message says why.
    """
    package = Package.open(path, trust)
    with TemporaryDirectory(prefix="gnomon-replay-") as folder:
        environment = Environment(Path(sys.executable))
        if not here:
            pinned = package.manifest.dependencies
            environment = rebuild(pinned, Path(folder) / "environment", wheelhouse, tell)
        tell(f"runs the model of {package.reference} ({package.digest})")
        request = ReplayRequest(
            package=str(path.resolve()),
            trusted_keys=tuple(one.key for one in keys),
            rows=tuple(one.row for one in requests),
        )
        outcome = _run(environment.python, request)
    golden = package.golden
    parts = [_compare("golden samples", golden, golden.outputs, outcome.golden)]
    if requests:
        expected = [one.outputs for one in requests]
        parts.append(_compare("requests", golden, expected, outcome.rows))
    return ReplayReport(
        package=package.reference,
        format=package.manifest.format,
        digest=package.digest,
        replayed_at=datetime.now(UTC).isoformat(timespec="seconds"),
        parts=tuple(parts),
        not_reproduced=(
            *environment.missing,
            *_other_versions(package, outcome),
            *_other_machine(package, trust, outcome),
        ),
        python=outcome.python,
        machine=outcome.machine,
        versions=outcome.versions,
    )


def attest_replay(replayed: ReplayReport, path: Path, signer: Signer) -> Path:
    """Write the result, passed or failed, to the package's attestations; return the file."""
    return attest(
        path,
        replayed.package,
        replayed.digest,
        signer,
        kind="replay",
        predicate=replayed.to_dict(),
        predicate_type=REPLAY_PREDICATE_TYPE,
    )


def read_requests(path: Path) -> list[RecordedRequest]:
    """Read recorded requests: a line of JSON each, with `row` and `outputs`.

    Raises:
        ConfigurationError: a line is something else; the message has its number.
    """
    found = []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        if not line.strip():
            continue
        try:
            found.append(msgspec.json.decode(line, type=RecordedRequest))
        except UNDECODABLE as error:
            raise ConfigurationError(f"{path}, line {number}: {error}") from error
    return found


def _run(python: Path, request: ReplayRequest) -> ReplayResult:
    command = [str(python), "-I", "-m", "gnomon.delivery.replay.worker"]
    try:
        outcome = run_worker(command, request, ReplayResult, seconds=_SECONDS)
    except EngineError as error:
        raise EngineError(f"the replay failed: {error}") from error
    if outcome.error:
        raise EngineError(f"the model does not run in the recreated environment: {outcome.error}")
    return outcome


def _compare(
    what: str, golden: Golden, expected: Sequence[Mapping[str, Any]], answers: Sequence[RowResult]
) -> Part:
    exact = near = 0
    first = ""
    for number, (wanted, answer) in enumerate(zip(expected, answers, strict=True)):
        if _is_exact(wanted, answer):
            exact += 1
        elif not answer.error and golden.agrees(wanted, answer.outputs):
            near += 1
        first = first or _describe_difference(number, wanted, answer)
    return Part(what, len(answers), exact, near, first)


def _is_exact(expected: Mapping[str, Any], answer: RowResult) -> bool:
    """Whether every recorded output was reproduced to the last digit."""
    return not answer.error and all(
        name in answer.outputs and answer.outputs[name] == value for name, value in expected.items()
    )


def _describe_difference(number: int, expected: Mapping[str, Any], answer: RowResult) -> str:
    if _is_exact(expected, answer):
        return ""
    now = answer.error or repr(answer.outputs)
    return f"row {number}: recorded {dict(expected)!r}, now {now}"[:_TOLD_CHARACTERS]


def _other_versions(package: Package, outcome: ReplayResult) -> Iterator[str]:
    for one in package.manifest.dependencies:
        found = outcome.versions.get(one.name)
        if found != one.version:
            yield f"{one.name} {found or 'is not installed'}, built with {one.version}"


def _other_machine(
    package: Package, trust: TrustStore | None, outcome: ReplayResult
) -> Iterator[str]:
    """Yield differences from the machine of the test: Python's version, the processor."""
    if trust is None:
        return
    tests = trust.statements(
        package.digest, package.envelopes, TEST_PREDICATE_TYPE, package.manifest.name
    )
    machines = [one["machine"] for one in tests if isinstance(one.get("machine"), dict)]
    if not machines:
        return
    pythons = sorted({str(one.get("python")).rpartition(".")[0] for one in machines})
    if outcome.python.rpartition(".")[0] not in pythons:
        yield f"Python {outcome.python}, tested with {', '.join(pythons)}"
    kinds = sorted({str(one.get("architecture")) for one in machines})
    if outcome.machine.rpartition(" ")[2].lower() not in kinds:
        yield f"a {outcome.machine}, tested on {', '.join(kinds)}"
