"""The record of one run of a build, whether it succeeded or not."""

import enum
from typing import Any

import msgspec

__all__ = ["PipelineRun", "RunState", "StepRecord"]


class RunState(enum.StrEnum):
    """The state of a run."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REFUSED = "refused"  # by the rules of its risk tier, before anything ran
    INTERRUPTED = "interrupted"  # its process ended under way


class StepRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One step: its state, its duration, and what it made, by hash.

    `key` is the hash of all that went in: equal keys, the same artifact.
    """

    name: str
    state: str  # done, cached, failed
    seconds: float
    kind: str
    key: str
    digest: str = ""
    about: dict[str, Any] = {}


class PipelineRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run, identified by its ULID. Times are Unix milliseconds."""

    id: str
    pipeline: str
    trigger: str  # hand, schedule, or what has happened
    state: RunState
    started_at: int
    ended_at: int | None = None
    parameters: dict[str, Any] = {}
    code_version: str = ""
    code_clean: bool = False
    environment: dict[str, str] = {}
    steps: tuple[StepRecord, ...] = ()
    error: str = ""
    log: str = ""  # its end

    @property
    def metrics(self) -> dict[str, float]:
        """Return the metrics by name; a later step overrides an earlier one."""
        return {
            name: value
            for step in self.steps
            for name, value in step.about.get("metrics", {}).items()
        }

    @property
    def datasets(self) -> list[dict[str, Any]]:
        """Return the sources of the data, with fingerprints."""
        return [
            {"step": step.name, **step.about}
            for step in self.steps
            if step.kind == "dataset" and step.state != "failed"
        ]

    @property
    def packages(self) -> list[dict[str, Any]]:
        """Return the packages that were built: name, version, format and digest."""
        wanted = ("name", "version", "format", "digest")
        return [
            {name: step.about[name] for name in wanted}
            for step in self.steps
            if step.kind == "package" and step.state != "failed"
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return it in plain JSON types, what follows from the steps beside them."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        derived = {
            "metrics": self.metrics,
            "datasets": self.datasets,
            "packages": self.packages,
        }
        return plain | derived
