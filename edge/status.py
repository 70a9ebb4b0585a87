"""The status that a node reports."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gnomon.runtime.notebook import draw_facts

if TYPE_CHECKING:
    from gnomon.edge.telemetry.figures import SpoolFigures
    from gnomon.edge.trust_state import TrustStatus


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """The state of a node.

    Attributes:
        name: at the hub.
        step: of the installation.
        generation: of the desired state in service.
        refused_generation: the newest that was refused.
        reason: why it was refused, or why the state in service is incomplete.
        models: the packages in service by route, as `name@version`.
        is_enrolled: whether there is a certificate.
        is_hub_reachable: whether the last report reached the hub.
        last_error: the newest error of calls that have not succeeded since; empty: none.
        spool: figures of the telemetry that waits; None: there is no hub.
        last_error_at: when that was, epoch seconds.
        clock_offset_seconds: the hub's clock minus this machine's, when they last spoke.
        certificate_expires_at: the end of the certificate, epoch seconds.
        refused: why packages of the newest desired state, `name@version`, or routes were refused.
        warnings: what an operator should know: disk, telemetry, clock, certificate, damage.
    """

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
    last_error_at: float | None = None
    clock_offset_seconds: float | None = None
    certificate_expires_at: float | None = None
    warnings: tuple[str, ...] = ()
    refused: dict[str, str] = field(default_factory=dict)
    trust: "TrustStatus | None" = None

    def _repr_html_(self) -> str:
        """Return what there is to say, for a notebook."""
        served = [(f"serves {route}", ", ".join(ones)) for route, ones in self.models.items()]
        facts = [
            ("step", self.step),
            ("generation", self.generation),
            ("enrolled", "yes" if self.is_enrolled else "no"),
            ("hub reachable", "yes" if self.is_hub_reachable else "no"),
            ("reason", self.reason),
            ("last error", self.last_error),
            *((f"refused {name}", why) for name, why in self.refused.items()),
            *(("warning", one) for one in self.warnings),
        ]
        return draw_facts(f"Agent {self.name}", [*served, *facts])
