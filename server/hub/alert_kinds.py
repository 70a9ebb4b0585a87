"""The kinds of alerts: how severe, about what, how sure, and where to look first."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass


class Severity(enum.StrEnum):
    """How severe an alert is, in the words of PagerDuty's Events API; the worst first."""

    CRITICAL = "critical"
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Certainty(enum.StrEnum):
    """How sure an alert is."""

    OBSERVED = "observed"  # it happened
    TESTED = "tested"  # a test with a stated rate of false alarms says so
    REPORTED = "reported"  # another system says so


class Component(enum.StrEnum):
    """What an alert is about."""

    MODEL = "model"
    DATA = "data source"
    NODE = "node"
    NETWORK = "network"
    HUB = "hub"
    OTHER = "other system"


@dataclass(frozen=True, slots=True)
class AlertKind:
    """What is known of all alerts of a kind; `first_look` is for the person who takes it."""

    severity: Severity
    component: Component
    certainty: Certainty
    first_look: str


_TESTED, _OBSERVED = Certainty.TESTED, Certainty.OBSERVED

#: The kind of alerts of other systems.
EXTERNAL = "external"

KINDS: Mapping[str, AlertKind] = {
    "source_moved": AlertKind(
        Severity.WARNING,
        Component.DATA,
        _TESTED,
        "Look at the device: sensor, unit, firmware. Its peers see nothing.",
    ),
    "all_moved": AlertKind(
        Severity.WARNING,
        Component.DATA,
        _TESTED,
        "Look at what feeds all nodes, and what changed then, before the model.",
    ),
    "rows_refused": AlertKind(
        Severity.ERROR,
        Component.DATA,
        _TESTED,
        "Look at the examples of refused rows: which field and rule.",
    ),
    "missing_exceeded": AlertKind(
        Severity.WARNING, Component.DATA, _OBSERVED, "Look at what fills the field."
    ),
    "error_rose": AlertKind(
        Severity.ERROR,
        Component.MODEL,
        _TESTED,
        "Compare the errors by version and day; look for drift of the same days.",
    ),
    "rolled_back": AlertKind(
        Severity.ERROR,
        Component.MODEL,
        _OBSERVED,
        "Read the gate's checks of the rollout; the former version answers again.",
    ),
    "node_contradicts": AlertKind(
        Severity.WARNING,
        Component.NODE,
        _TESTED,
        "Look at the node: its clock, its data, who has its certificate.",
    ),
    "node_silent": AlertKind(
        Severity.ERROR,
        Component.NODE,
        _OBSERVED,
        "See whether the machine runs and reaches the hub: `gnomon agent status` there.",
    ),
    "nodes_silent": AlertKind(
        Severity.CRITICAL,
        Component.NETWORK,
        _OBSERVED,
        "Look at the network and the hub's ports before the nodes.",
    ),
    "package_refused": AlertKind(
        Severity.ERROR,
        Component.NODE,
        _OBSERVED,
        "Read the node's reason; `gnomon agent doctor` there says what to do.",
    ),
    "content_damaged": AlertKind(
        Severity.ERROR, Component.NODE, _OBSERVED, "Look at the node's disk."
    ),
    "audit_chain": AlertKind(
        Severity.CRITICAL,
        Component.HUB,
        _OBSERVED,
        "Compare the chain with what several nodes keep: `gnomon hub audit verify --against`.",
    ),
    "quota_reached": AlertKind(
        Severity.WARNING,
        Component.NODE,
        _OBSERVED,
        "See what the caller sends; a setting of the hub raises the quota.",
    ),
    "evaluation_failed": AlertKind(
        Severity.ERROR, Component.HUB, _OBSERVED, "Read the hub's log at that time."
    ),
    "rollout_failed": AlertKind(
        Severity.ERROR, Component.HUB, _OBSERVED, "Read the hub's log at that time."
    ),
    EXTERNAL: AlertKind(
        Severity.WARNING,
        Component.OTHER,
        Certainty.REPORTED,
        "Follow the link to the system that sent it.",
    ),
}

_UNKNOWN = AlertKind(Severity.WARNING, Component.HUB, _OBSERVED, "Read the text and the evidence.")


def kind_of(name: str) -> AlertKind:
    """Return what is known of a kind; of an unknown one, such as of a newer hub, the least."""
    return KINDS.get(name, _UNKNOWN)
