"""A gate's verdict on one step of a rollout: pure functions on what candidate and champion did.

Both sides are measured since the step began, so that they saw the same traffic: a change of the
data affects both. Three decisions are possible: advance, hold, roll back.

A gate is asked at every tick, so what it calls *worse* is worse by bounds that hold at all looks at
once (`bounds`). They share out one budget: a candidate within all limits is rolled back by
chance with probability at most 1 − `confidence`, over all steps, checks and looks together.

- failed share: lower bound of the candidate's share over the limit.
- refused share: its lower bound over the champion's upper bound plus the limit.
- latency quantile: its lower bound over the limit times the champion's upper bound, and more
  than negligibly.
- mean absolute error, by labels: the same, each mean bounded at half the check's budget.

A step is passed if enough was seen and every estimate is within its limit; with `require_proof`
the error must also be *shown* to be within its limit, by the opposite bounds. Mean errors are
compared only if the champion's is known to within half of it, and if no single label decides: one
label with a huge error would make any candidate look good. What is not finite passes nothing.
"""

import enum
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from gnomon.server.hub.monitoring.losses import Losses
from gnomon.server.hub.rollout.bounds import (
    Bounds,
    mean_bounds,
    mean_without_largest,
    share_bounds,
)
from gnomon.server.hub.store.limits import Count

_STATISTICAL_CHECKS = 4
# An asymptotic bound is not reliable on fewer values than this.
_FEWEST_LABELS = 30
# A champion's mean error is compared once its bounds are no wider than this share of it.
_NARROW = 0.5


class Gates(BaseModel):
    """What a step must show before the next one; shares and ratios, not percent."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    minimum_predictions: Count = 100
    """Requests that the candidate must have seen in the step."""
    minimum_labels: Count = 0
    """Labelled predictions that each side must have in the step."""
    maximum_failed_share: float = Field(default=0.01, ge=0, lt=1)
    """Share of the candidate's requests that engine or output contract failed."""
    maximum_refused_share_increase: float = Field(default=0.02, ge=0, le=1)
    """How much more of its requests the candidate may refuse than the champion, by contract."""
    maximum_latency_ratio: float = Field(default=1.5, gt=0)
    latency_quantile: float = Field(default=0.5, gt=0, lt=1)
    """Which quantile is compared; the median is least disturbed by other work on the machine."""
    negligible_latency_ms: float = Field(default=1.0, ge=0)
    """So much more is within the limit whatever the ratio: microseconds double for no reason."""
    maximum_error_ratio: float = Field(default=1.1, gt=0)
    """The candidate's mean absolute error over the champion's."""
    require_proof: bool = False
    """Whether the error must be shown to be within its limit, not only estimated so."""
    maximum_node_share: float = Field(default=0.5, gt=0, le=1)
    """Largest part of the evidence that one node may have, if three nodes or more have traffic."""
    confidence: float = Field(default=0.95, ge=0.5, lt=1)

    def alpha(self, steps: int) -> float:
        """Return what one check in one step may spend of the budget of false roll-backs."""
        return (1.0 - self.confidence) / (_STATISTICAL_CHECKS * max(1, steps))


@dataclass(frozen=True, slots=True)
class Latency:
    """A latency quantile in milliseconds with bounds that hold at all looks."""

    count: int = 0
    estimate: float = math.nan
    lower: float = 0.0
    upper: float = math.inf


@dataclass(frozen=True, slots=True)
class Side:
    """What one version did in a step."""

    predictions: int = 0  # all requests: answered, refused, failed
    refused: int = 0  # by the contract of the inputs
    failed: int = 0  # by the engine or the contract of the outputs
    latency: Latency = field(default_factory=Latency)
    losses: Losses = field(default_factory=Losses)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What both versions did in a step; no champion if it had no share of the traffic."""

    candidate: Side
    champion: Side | None
    refusals: tuple[str, ...] = ()  # why nodes refused the candidate, in their words


class Decision(enum.StrEnum):
    """What to do with a rollout now."""

    ADVANCE = "advance"
    HOLD = "hold"
    ROLL_BACK = "roll_back"


class GateFinding(enum.StrEnum):
    """What one check found."""

    PASSED = "passed"
    WAITING = "waiting"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class GateCheck:
    """One check of the gate, in words."""

    name: str
    finding: GateFinding
    text: str
    seen: int = 0  # requests or labels that count, of those wanted; 0: it counts none
    wanted: int = 0


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """The gate's answer, why, and what each check found.

    Attributes:
        decision: what to do with the rollout.
        reason: why, for people.
        checks: what each check found.
        nodes: how many nodes the evidence of the candidate comes from.
        single_source: whether it comes from one node only.
        contradicting: nodes that contradict their peers, and how.
    """

    decision: Decision
    reason: str
    checks: tuple[GateCheck, ...] = field(default=())
    nodes: int = 0
    single_source: bool = False
    contradicting: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return asdict(self)


def evaluate(gates: Gates, evidence: Evidence, alpha: float) -> GateVerdict:
    """Return the decision on a step, with its reasons.

    Args:
        gates: the rollout's limits.
        evidence: what champion and candidate did in this step.
        alpha: probability that the bounds of a check ever fail, in (0, 1); see `Gates.alpha`.
    """
    checks = tuple(_checks(gates, evidence, alpha))
    failed = [check for check in checks if check.finding is GateFinding.FAILED]
    if failed:
        return GateVerdict(Decision.ROLL_BACK, _reason(failed), checks)
    waiting = [check for check in checks if check.finding is GateFinding.WAITING]
    if waiting:
        return GateVerdict(Decision.HOLD, _reason(waiting), checks)
    return GateVerdict(Decision.ADVANCE, "all checks passed", checks)


def _reason(checks: Sequence[GateCheck]) -> str:
    return "; ".join(f"{check.name}: {check.text}" for check in checks)


def _checks(gates: Gates, evidence: Evidence, alpha: float) -> Iterator[GateCheck]:
    candidate, champion = evidence.candidate, evidence.champion
    for refusal in evidence.refusals:
        yield GateCheck("node", GateFinding.FAILED, refusal)
    yield _predictions(gates, candidate)
    yield _failed(gates, candidate, alpha)
    if champion is None:
        yield GateCheck(
            "comparison", GateFinding.PASSED, "the champion has no traffic to compare with"
        )
        return
    yield _refused(gates, candidate, champion, alpha)
    yield _latency(gates, candidate.latency, champion.latency)
    yield _error(gates, candidate.losses, champion.losses, alpha)


def _predictions(gates: Gates, candidate: Side) -> GateCheck:
    seen, wanted = candidate.predictions, gates.minimum_predictions
    finding = GateFinding.PASSED if seen >= wanted else GateFinding.WAITING
    text = f"{seen:,} of the {wanted:,} wanted"
    return GateCheck("predictions", finding, text, seen, wanted)


def _failed(gates: Gates, candidate: Side, alpha: float) -> GateCheck:
    limit = gates.maximum_failed_share
    text = f"{_share(candidate.failed, candidate.predictions)} failed, at most {limit:.2%} may"
    if share_bounds(candidate.failed, candidate.predictions, alpha).lower > limit:
        return GateCheck("failed", GateFinding.FAILED, text)
    return GateCheck("failed", _within(candidate.failed <= limit * candidate.predictions), text)


def _refused(gates: Gates, candidate: Side, champion: Side, alpha: float) -> GateCheck:
    limit = gates.maximum_refused_share_increase
    text = (
        f"{_share(candidate.refused, candidate.predictions)} refused, the champion refused "
        f"{_share(champion.refused, champion.predictions)}, at most {limit:.2%} more may be"
    )
    mine = share_bounds(candidate.refused, candidate.predictions, alpha / 2)
    theirs = share_bounds(champion.refused, champion.predictions, alpha / 2)
    if mine.lower > theirs.upper + limit:
        return GateCheck("refused", GateFinding.FAILED, text)
    more = candidate.refused / max(1, candidate.predictions)
    more -= champion.refused / max(1, champion.predictions)
    return GateCheck("refused", _within(more <= limit), text)


def _latency(gates: Gates, candidate: Latency, champion: Latency) -> GateCheck:
    limit = gates.maximum_latency_ratio
    if not candidate.count or not champion.count:
        # Without answers there is no latency; the other checks cover that.
        return GateCheck("latency", GateFinding.PASSED, "not measured on both sides yet")
    text = (
        f"{candidate.estimate:.3g} ms at the {gates.latency_quantile:.0%} quantile, the champion "
        f"{champion.estimate:.3g} ms, at most {limit:g} times as much or "
        f"{gates.negligible_latency_ms:g} ms more"
    )
    if candidate.lower > _latency_limit(gates, champion.upper):
        return GateCheck("latency", GateFinding.FAILED, text)
    known = math.isfinite(candidate.estimate) and math.isfinite(champion.estimate)
    within = known and candidate.estimate <= _latency_limit(gates, champion.estimate)
    return GateCheck("latency", _within(within), text)


def _latency_limit(gates: Gates, champion: float) -> float:
    return max(gates.maximum_latency_ratio * champion, champion + gates.negligible_latency_ms)


def _error(gates: Gates, candidate: Losses, champion: Losses, alpha: float) -> GateCheck:
    limit = gates.maximum_error_ratio
    enough = min(candidate.count, champion.count)
    mine, theirs = (_error_bounds(gates, side, alpha / 2) for side in (candidate, champion))
    text = _error_text(gates, candidate, champion)
    if enough >= _FEWEST_LABELS and mine.lower > limit * theirs.upper:
        return GateCheck("error", GateFinding.FAILED, text)
    if enough < gates.minimum_labels or (not enough and gates.require_proof):
        wanted = max(1, gates.minimum_labels)
        return GateCheck("error", GateFinding.WAITING, text, enough, wanted)
    if not enough:
        return GateCheck("error", GateFinding.PASSED, "no labels wanted, none seen on both sides")
    if not all(map(math.isfinite, (*_sums(candidate), *_sums(champion)))):
        return GateCheck("error", GateFinding.WAITING, f"{text}; a sum of errors is not finite")
    if gates.require_proof:
        return GateCheck("error", _within(mine.upper <= limit * theirs.lower), text)
    if not _is_narrow(champion, theirs):
        text += "; the champion's errors scatter too much to compare means yet"
        return GateCheck("error", GateFinding.WAITING, text)
    means = candidate.absolute_error / candidate.count, champion.absolute_error / champion.count
    without = replace(candidate, count=candidate.count - 1)  # its smallest error, taken for 0
    holds = (
        means[0] <= limit * means[1]
        # No single label decides: it is not shown to be worse without any one of them either.
        and mine.lower <= limit * mean_without_largest(*_sums(champion))
        and _error_bounds(gates, without, alpha / 2).lower <= limit * theirs.upper
    )
    return GateCheck("error", _within(holds), text)


def _is_narrow(losses: Losses, bounds: Bounds) -> bool:
    """Return whether a mean is known well enough to be compared; false if it is not finite."""
    mean = losses.absolute_error / losses.count
    return bounds.upper - mean <= _NARROW * mean


def _sums(losses: Losses) -> tuple[int, float, float]:
    return losses.count, losses.absolute_error, losses.squared_error


def _error_bounds(gates: Gates, losses: Losses, alpha: float) -> Bounds:
    aimed_at = max(gates.minimum_labels, 10 * _FEWEST_LABELS)
    bounds = mean_bounds(*_sums(losses), alpha, aimed_at)
    return Bounds(max(0.0, bounds.lower), bounds.upper)


def _error_text(gates: Gates, candidate: Losses, champion: Losses) -> str:
    mine, theirs = candidate.mean_absolute_error, champion.mean_absolute_error
    labels = f"{candidate.count:,} and {champion.count:,} labels, {gates.minimum_labels:,} wanted"
    if mine is None or theirs is None:
        return labels
    return (
        f"{mine:.4g} mean absolute error, the champion {theirs:.4g}, at most "
        f"{gates.maximum_error_ratio:g} times as much ({labels})"
    )


def _within(holds: bool) -> GateFinding:
    return GateFinding.PASSED if holds else GateFinding.WAITING


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.2%} of {whole:,}" if whole else "none of 0"
