"""Detects that more of a field is missing than its contract allows, in one source or in all."""

from collections.abc import Iterator, Mapping, Sequence

from gnomon.core.detectors.allowance import exceeds_allowance
from gnomon.server.hub.monitoring.alerts import Condition
from gnomon.server.hub.monitoring.progress import Interval
from gnomon.server.hub.monitoring.watched_fields import Limit, SourceTotals
from gnomon.server.hub.store.clock import calendar

#: More of a field is missing than its `missing_allowance`.
MISSING_EXCEEDED = "missing_exceeded"

_NAMED = 5  # sources that a text names; the evidence names all


def missing_conditions(
    model: str,
    version: str,
    limits: Sequence[Limit],
    interval: Interval,
    totals: Mapping[str, SourceTotals],
    level: float,
) -> Iterator[Condition]:
    """Yield one condition for each field of which an interval lacks more than is allowed.

    `level` is the chance of a wrong one in an interval; it is divided among the fields, and among
    the sources and all of them together.

    Args:
        model: the model's name.
        version: the version's name.
        limits: fields with the share that may be missing.
        interval: which it is.
        totals: source → what it counted.
        level: chance of a wrong condition in an interval, in (0, 1].
    """
    each = level / max(len(limits) * (len(totals) + 1), 1)
    for index, limit in enumerate(limits):
        gaps = {source: _gap(of.gaps[index]) for source, of in totals.items()}
        missing, rows = (sum(part) for part in zip(*gaps.values(), strict=True)) if gaps else (0, 0)
        over = {
            source: gap
            for source, gap in gaps.items()
            if exceeds_allowance(*gap, limit.allowance, each)
        }
        if over or exceeds_allowance(missing, rows, limit.allowance, each):
            yield _condition(model, version, limit, interval, (missing, rows), over)


def _gap(entry: Sequence[int]) -> tuple[int, int]:
    missing, rows = entry
    return int(missing), int(rows)


def _condition(
    model: str,
    version: str,
    limit: Limit,
    interval: Interval,
    together: tuple[int, int],
    over: Mapping[str, tuple[int, int]],
) -> Condition:
    worst = sorted(over, key=lambda source: (-over[source][0] / over[source][1], source))
    named = ", ".join(f"{source} {_share(over[source])}" for source in worst[:_NAMED])
    if len(worst) > _NAMED:
        named += f" and {len(worst) - _NAMED} more"
    began = calendar(interval[1])
    text = (
        f"{limit.name}: {_share(together)} missing in the interval from {began:%Y-%m-%d %H:%M} "
        f"UTC, at most {limit.allowance:.2%} is allowed; "
        + (f"above it: {named}" if named else "no source by itself is above it")
    )
    evidence = {
        "missing": together[0],
        "rows": together[1],
        "share": together[0] / together[1],
        "allowance": limit.allowance,
        "sources": {source: over[source][0] / over[source][1] for source in worst},
        "seen_in": {"started_at": interval[1], "ended_at": interval[0]},
    }
    return Condition(model, MISSING_EXCEEDED, "", limit.name, version, text, evidence)


def _share(gap: tuple[int, int]) -> str:
    return f"{gap[0] / gap[1]:.2%} of {gap[1]:,} rows"
