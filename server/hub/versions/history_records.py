"""What is returned of a version's history: placements, rollouts, counts, lineage.

Times are Unix milliseconds, weights parts in 1,000.
"""

from dataclasses import dataclass
from typing import Any

from gnomon.server.hub.versions.runs import RunSummary


@dataclass(frozen=True, slots=True)
class PlacedVersion:
    """A version that was in service in an environment; `ended_at` is None if it still is."""

    environment: str
    version: str
    started_at: int
    ended_at: int | None
    actor: str


@dataclass(frozen=True, slots=True)
class EnteredStep:
    """A step of a rollout that was entered; `left_at` is None if it was not left yet."""

    position: int
    weight: int
    entered_at: int
    left_at: int | None


@dataclass(frozen=True, slots=True)
class RolloutSpan:
    """A rollout with the steps that it had in a span."""

    environment: str
    id: str
    champion: str
    candidate: str
    state: str
    created_at: int
    ended_at: int | None
    steps: list[EnteredStep]


@dataclass(frozen=True, slots=True)
class CountedByVersion:
    """Rows that the nodes of an environment counted for a version."""

    environment: str
    version: str
    shadow: bool
    rows: int
    nodes: int


@dataclass(frozen=True, slots=True)
class CountedByNode:
    """Rows that one node counted for a version."""

    environment: str
    version: str
    shadow: bool
    node: str
    rows: int


@dataclass(frozen=True, slots=True)
class ModelHistory:
    """What was in service, rolled out and counted of a model in a span."""

    model: str
    placements: list[PlacedVersion]
    rollouts: list[RolloutSpan]
    counted: list[CountedByVersion] | list[CountedByNode]


@dataclass(frozen=True, slots=True)
class DatasetUse:
    """The dataset of a version; `others` are versions made from the same data, NAME@VERSION."""

    fingerprint: str
    uri: str | None
    others: list[str]


@dataclass(frozen=True, slots=True)
class PackageSummary:
    """A package of a version."""

    format: str
    digest: str
    published_at: int
    publisher: str


@dataclass(frozen=True, slots=True)
class ServicePeriod:
    """A time that a version was in service in an environment."""

    environment: str
    started_at: int
    ended_at: int | None
    actor: str


@dataclass(frozen=True, slots=True)
class RolloutSummary:
    """A rollout from or to a version, without its steps."""

    environment: str
    id: str
    champion: str
    candidate: str
    state: str
    created_at: int
    ended_at: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class NodeUse:
    """A node that counted rows of a version, or has it installed now."""

    node: str
    rows: int
    installed: bool


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where a version came from and where it went; `run` is the reproducibility record."""

    model: str
    version: str
    aliases: list[str]
    tags: dict[str, str]
    dataset: DatasetUse
    run: dict[str, Any]
    runs: list[RunSummary]
    packages: list[PackageSummary]
    placements: list[ServicePeriod]
    rollouts: list[RolloutSummary]
    nodes: list[NodeUse]
