"""How much evidence a gate still needs, and when it has it at the rate of this step."""

from dataclasses import dataclass

from gnomon.server.hub.rollout.criteria import GateFinding, GateVerdict

_UNITS = {"predictions": "requests", "error": "labels of each side"}
_HOUR = 3_600


@dataclass(frozen=True, slots=True)
class GateNeed:
    """What one check waits for.

    `missing` is a number of requests or labels; `seconds` is how long that takes at the rate of
    this step so far, None if nothing has come yet.
    """

    check: str
    missing: int
    seconds: float | None
    text: str


def find_needs(found: GateVerdict, seconds: float) -> list[GateNeed]:
    """Return what the gate of a step waits for and can be counted.

    Args:
        found: what the gate says now.
        seconds: since the step began.
    """
    needs = []
    for check in found.checks:
        missing = check.wanted - check.seen
        if check.finding is not GateFinding.WAITING or missing <= 0:
            continue
        left = missing * max(0.0, seconds) / check.seen if check.seen else None
        text = f"{missing:,} more {_UNITS.get(check.name, check.name)}, {_duration(left)}"
        needs.append(GateNeed(check.name, missing, left, text))
    return needs


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "and none has come since the step began"
    if seconds < 2 * _HOUR:
        return f"about {max(1, round(seconds / 60)):,} min at the present rate"
    return f"about {round(seconds / _HOUR):,} h at the present rate"
