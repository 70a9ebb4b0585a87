"""What the fleet detector found in one interval."""

from dataclasses import dataclass, field

from gnomon.core.detectors.alarm import Alarm

__all__ = ["FleetVerdict"]


@dataclass(frozen=True, slots=True)
class FleetVerdict:
    """The result of one interval of a fleet.

    Attributes:
        outliers: sources that have left their peers, each with its alarm.
        fleet_wide: changes of the whole fleet against the profile's reference.
        excluded: sources kept out of the pool, by field.
    """

    outliers: list[tuple[str, Alarm]] = field(default_factory=list)
    fleet_wide: list[Alarm] = field(default_factory=list)
    excluded: dict[str, tuple[str, ...]] = field(default_factory=dict)
