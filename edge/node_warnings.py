"""What an operator should know about a node besides its errors, such as a wrong clock."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from gnomon.edge.telemetry.figures import SpoolFigures

#: A clock that differs from the hub's by more than this is named.
CLOCK_TOLERANCE_SECONDS = 60.0
#: A certificate is renewed after two thirds of its life, and named if less than this part is left.
_LIFE_LEFT = 1 / 6


def find_warnings(
    figures: SpoolFigures,
    *,
    is_hub_reachable: bool,
    clock_offset_seconds: float | None,
    validity: tuple[datetime, datetime] | None,
    damage: Iterable[str],
    audit_findings: Iterable[str] = (),
    overdue: str = "",
) -> dict[str, str]:
    """Return a sentence by kind of condition.

    Args:
        figures: of the spool.
        is_hub_reachable: whether the last call reached the hub.
        clock_offset_seconds: the hub's clock minus this machine's; None: not known.
        validity: beginning and end of the certificate; None: there is no certificate.
        damage: what was wrong with files of state.
        audit_findings: what the hub's audit chain was found to have lost or changed.
        overdue: the step of the installation that takes longer than it may; empty: none.
    """
    found = {
        "disk": _describe_disk(figures),
        "telemetry_lost": _describe_losses(figures),
        "telemetry_waiting": "" if is_hub_reachable else _describe_waiting(figures),
        "clock": _describe_clock(clock_offset_seconds or 0.0),
        "certificate": _describe_certificate(validity, clock_offset_seconds or 0.0),
        "state_damaged": "; ".join(damage),
        "audit_chain": "; ".join(audit_findings),
        "installation": f"{overdue} takes longer than it may; what was in service answers"
        if overdue
        else "",
    }
    return {kind: text for kind, text in found.items() if text}


def _describe_disk(figures: SpoolFigures) -> str:
    if not figures.disk_error:
        return ""
    return (
        f"the disk cannot be written ({figures.disk_error}); {figures.in_memory} records of "
        "telemetry are in memory only"
    )


def _describe_losses(figures: SpoolFigures) -> str:
    losses = []
    if figures.dropped:
        losses.append(f"{figures.dropped} samples were dropped from a full spool")
    if figures.lost:
        losses.append(f"{figures.lost} records of telemetry could not be read and are lost")
    return "; ".join(losses)


def _describe_waiting(figures: SpoolFigures) -> str:
    if not figures.records:
        return ""
    return f"{figures.records} records of telemetry ({figures.bytes} bytes) wait for the hub"


def _describe_clock(offset: float) -> str:
    if abs(offset) <= CLOCK_TOLERANCE_SECONDS:
        return ""
    side = "behind" if offset > 0 else "ahead of"
    return f"this machine's clock is {abs(offset):.0f} s {side} the hub's"


def _describe_certificate(validity: tuple[datetime, datetime] | None, offset: float) -> str:
    if validity is None:
        return ""
    start, end = validity
    try:
        now = datetime.now(UTC) + timedelta(seconds=offset)
    except OverflowError:
        return ""
    if now >= end:
        return f"the certificate expired at {end:%Y-%m-%d %H:%M} UTC"
    if end - now < (end - start) * _LIFE_LEFT:
        return f"the certificate expires at {end:%Y-%m-%d %H:%M} UTC and was not renewed yet"
    return ""
