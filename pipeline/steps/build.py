"""Builds: steps that pass typed artifacts to each other, each made once and then cached.

A build is a function that takes a `Build` and calls `step` for each part of the work. The artifact
of a step is cached by the hash of all inputs: the function's code, its parameters, the contents of
its files, the artifacts it takes, and the versions of the libraries. So a run that was killed
continues after its last step, and a change runs again only the steps that depend on it.

    def build(build: Build) -> None:
        rows = build.step("rows", load, makes="dataset", file=HERE / "rows.csv")
        model = build.step("model", train, makes="model", rows=rows, trees=100)
"""

import inspect
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from gnomon.pipeline.datasets.dataset import DatasetError
from gnomon.pipeline.environment import code_version
from gnomon.pipeline.steps.artifacts import Artifact, ArtifactKind, folder_digest, load
from gnomon.pipeline.steps.cache import StepCache
from gnomon.pipeline.steps.code import code_hash, environment, is_own_code, source_of
from gnomon.pipeline.steps.record import StepRecord
from gnomon.pipeline.steps.rules import RefusedBuild, Rules, check_clean
from gnomon.runtime.errors import ConfigurationError
from gnomon.runtime.packages.chunks import sha256
from gnomon.runtime.packages.manifest import NAME_PATTERN
from gnomon.runtime.packages.signing import Signer

__all__ = ["Build", "Observer", "Pipeline", "StepChange"]

_SCHEME = 1


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """A named build: its function, and the file that defines it."""

    name: str
    function: Callable[["Build"], None]
    source: Path
    risk_tier: str = ""
    rules: Rules = field(default_factory=Rules)
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raise ConfigurationError if the name does not match the pattern."""
        if not re.fullmatch(NAME_PATTERN, self.name):
            raise ConfigurationError(
                f"{self.source}: the pipeline's name {self.name[:80]!r} should match {NAME_PATTERN}"
            )

    @property
    def all_rules(self) -> Rules:
        """Return the pipeline's own rules and those of its risk tier."""
        tier = Rules.of_tier(self.risk_tier)
        return Rules(
            clean_code=self.rules.clean_code or tier.clean_code,
            fingerprints=self.rules.fingerprints or tier.fingerprints,
        )


@dataclass(frozen=True, slots=True)
class StepChange:
    """An event for an observer: a step is running, done, cached or failed."""

    name: str
    state: str
    seconds: float = 0.0


Observer = Callable[[StepChange], None]


class Build:
    """One run of a build."""

    def __init__(
        self,
        pipeline: Pipeline,
        parameters: Mapping[str, Any],
        cache: StepCache,
        signer: Signer | None,
        observe: Observer,
        record: Callable[[StepRecord], None],
    ) -> None:
        self.parameters = parameters
        self._pipeline = pipeline
        self._rules = pipeline.all_rules
        self._cache = cache
        self._signer = signer
        self._observe = observe
        self._record = record
        self._environment = dict(environment())
        self._names: set[str] = set()

    def step(
        self,
        name: str,
        function: Callable[..., Any],
        /,
        *,
        makes: ArtifactKind | str,
        fingerprint: str = "",
        **values: Any,
    ) -> Artifact:
        """Return what `function(**values)` makes; from the cache if nothing has changed.

        An `Artifact` among the values is handed over as what it holds (a `Dataset`, a dict of
        metrics, the path of a model or package); a `Path` counts by its content; all else is a
        parameter. `fingerprint` is what a dataset must have. A function with a parameter `signer`
        gets the run's, one with `scratch` an empty folder that goes with the step, one with
        `risk_tier` the build's ("" if it names none).

        Args:
            name: of the step; unique in the build.
            function: what to run.
            makes: kind of the artifact.
            fingerprint: what a dataset must have; empty: any.

        Raises:
            RefusedBuild: the rules do not let it run.
            ConfigurationError: two steps have one name, a value cannot be recorded, or the function
                returns something of another kind.
            DatasetError: the dataset has another fingerprint.
        """
        kind = _kind(name, makes)
        if name in self._names:
            raise ConfigurationError(f"two steps are called {name!r}; name each once")
        self._names.add(name)
        self._check_before(name, function, kind, fingerprint)
        key = self._key(name, function, kind, values)
        self._observe(StepChange(name, "running"))
        started = time.monotonic()
        state, artifact = "failed", None
        try:
            artifact = self._cache.find(key, name, kind)
            found = artifact is not None
            if artifact is None:
                artifact = self._make(name, function, kind, key, values)
            self._check_after(artifact, fingerprint)
            state = "cached" if found else "done"
        except ConfigurationError as error:
            raise type(error)(f"step {name!r}: {error}") from error
        finally:
            seconds = time.monotonic() - started
            self._note(name, kind, key, state, seconds, artifact)
        return artifact

    def _note(
        self,
        name: str,
        kind: ArtifactKind,
        key: str,
        state: str,
        seconds: float,
        artifact: Artifact | None,
    ) -> None:
        self._record(
            StepRecord(
                name=name,
                state=state,
                seconds=round(seconds, 3),
                kind=kind.value,
                key=key,
                digest=artifact.digest if artifact else "",
                about=dict(artifact.about) if artifact else {},
            )
        )
        self._observe(StepChange(name, state, seconds))

    def _check_before(
        self, name: str, function: Callable[..., Any], kind: ArtifactKind, fingerprint: str
    ) -> None:
        if self._rules.clean_code and is_own_code(function):
            check_clean(source_of(function))
        if self._rules.fingerprints and kind is ArtifactKind.DATASET and not fingerprint:
            raise RefusedBuild(
                f"step {name!r} reads data without a fingerprint, which this build may not; "
                "name the fingerprint that they should have (a run without this rule shows it)"
            )

    def _check_after(self, artifact: Artifact, fingerprint: str) -> None:
        about = artifact.about
        if fingerprint and about.get("fingerprint") != fingerprint:
            raise DatasetError(
                f"step {artifact.step!r}: fingerprint mismatch: expected {fingerprint}, "
                f"got {about.get('fingerprint')} of {about.get('rows')} rows"
            )
        if artifact.kind is not ArtifactKind.PACKAGE:
            return
        if self._rules.clean_code and not about["code_clean"]:
            raise RefusedBuild(
                f"the record of {about['name']}@{about['version']} says that its code was not "
                "clean; commit the recipe and the training code first"
            )
        self._check_tier(about)

    def _check_tier(self, about: Mapping[str, Any]) -> None:
        """Refuse a package of another tier than the build's, or of stricter rules than these."""
        declared = self._pipeline.risk_tier
        if declared and about["risk_tier"] != declared:
            raise RefusedBuild(
                f"{about['name']}@{about['version']} is of risk tier {about['risk_tier']!r}, the "
                f"build of {declared!r}; name one tier, in the build"
            )
        rules = Rules.of_tier(about["risk_tier"])
        if (rules.clean_code, rules.fingerprints) > (
            self._rules.clean_code,
            self._rules.fingerprints,
        ):
            raise RefusedBuild(
                f"{about['name']}@{about['version']} is of risk tier {about['risk_tier']!r}, and "
                "the build names none; give the build the package's tier"
            )

    def _key(
        self, name: str, function: Callable[..., Any], kind: ArtifactKind, values: Mapping[str, Any]
    ) -> str:
        """Return the hash of all inputs of a step."""
        wanted = inspect.signature(function).parameters
        signs = "signer" in wanted
        parts = {
            "scheme": _SCHEME,
            "makes": kind.value,
            "code": code_hash(function),
            "values": {one: _described(name, one, value) for one, value in values.items()},
            "environment": self._environment,
            "signer": self._signer.key_id if self._signer and signs else "",
            **({"risk_tier": self._pipeline.risk_tier} if "risk_tier" in wanted else {}),
            # A package records which code it was made by, committed or not.
            "versions": [
                code_version(value)
                for value in values.values()
                if kind is ArtifactKind.PACKAGE and isinstance(value, Path)
            ],
        }
        return sha256(msgspec.json.encode(parts, order="sorted"))

    def _make(
        self,
        name: str,
        function: Callable[..., Any],
        kind: ArtifactKind,
        key: str,
        values: Mapping[str, Any],
    ) -> Artifact:
        arguments = {
            one: load(value) if isinstance(value, Artifact) else value
            for one, value in values.items()
        }
        with TemporaryDirectory(prefix="gnomon-step-") as scratch:
            given = {
                "signer": self._signer,
                "scratch": Path(scratch),
                "risk_tier": self._pipeline.risk_tier,
            }
            wanted = inspect.signature(function).parameters
            arguments |= {one: value for one, value in given.items() if one in wanted}
            return self._cache.keep(key, name, kind, lambda: function(**arguments))


def _kind(name: str, makes: ArtifactKind | str) -> ArtifactKind:
    try:
        return ArtifactKind(makes)
    except ValueError:
        known = ", ".join(ArtifactKind)
        raise ConfigurationError(f"step {name!r} makes {makes!r}; use one of {known}") from None


def _described(step: str, name: str, value: Any) -> Any:
    """Return what represents a value in the key: the hash of an artifact or file, or the value."""
    if isinstance(value, Artifact):
        return {"artifact": value.digest}
    if isinstance(value, Path):
        if not value.exists():
            raise ConfigurationError(f"step {step!r}: {name} {value} does not exist")
        return {"file": folder_digest(value)}
    if isinstance(value, list | tuple):
        return [_described(step, name, one) for one in value]
    try:
        return msgspec.to_builtins(value)
    except TypeError as error:
        raise ConfigurationError(
            f"step {step!r}: {name} is a {type(value).__name__}, which cannot be recorded; pass "
            "plain values, paths, and what other steps made"
        ) from error
