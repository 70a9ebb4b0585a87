"""The status that a node reports."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gnomon.edge.telemetry.spool import SpoolFigures


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """The state of a node; `models` has the packages in service by route, as `name@version`."""

    name: str
    step: str
    generation: int
    refused_generation: int
    reason: str
    models: dict[str, tuple[str, ...]]
    is_enrolled: bool
    is_hub_reachable: bool
    last_error: str
    spool: "SpoolFigures | None"
