"""The evidence of one step of a rollout, node by node, and the gate's verdict on it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from gnomon.core.cells import latency
from gnomon.server.hub.rollout import contributions
from gnomon.server.hub.rollout.bounds import quantile_levels
from gnomon.server.hub.rollout.contributions import Contribution
from gnomon.server.hub.rollout.criteria import (
    Decision,
    Evidence,
    GateCheck,
    GateFinding,
    Gates,
    GateVerdict,
    Latency,
    Side,
    evaluate,
)

_NAMED = 3  # nodes that a text names


@dataclass(frozen=True, slots=True)
class StepEvidence:
    """What each node counted of both versions in a step.

    Attributes:
        candidate: node → what it counted of the candidate.
        champion: the same of the champion; None if it had no share of the traffic.
        refusals: why nodes refused the candidate, in their words.
    """

    candidate: contributions.Side
    champion: contributions.Side | None
    refusals: tuple[str, ...] = ()

    @property
    def nodes(self) -> list[str]:
        """The nodes that counted anything of the candidate, by name."""
        return contributions.sources(self.candidate)

    def gather(self, gates: Gates, alpha: float, without: str = "") -> Evidence:
        """Return what the nodes counted together, each with its bounded part.

        Args:
            gates: bound a node's part, and name the quantile of the latency.
            alpha: probability that the bounds of the latency ever fail, in (0, 1).
            without: a node that is left out.
        """
        sides = [
            None
            if side is None
            else _side(contributions.total(side, gates.maximum_node_share, without), gates, alpha)
            for side in (self.candidate, self.champion)
        ]
        return Evidence(sides[0] or Side(), sides[1], self.refusals)


def judge(step: StepEvidence, gates: Gates, alpha: float) -> GateVerdict:
    """Return the gate's verdict on a step, which no single node decides.

    Args:
        step: what each node counted.
        gates: the rollout's limits.
        alpha: probability that the bounds of a check ever fail, in (0, 1); see `Gates.alpha`.
    """
    found = evaluate(gates, step.gather(gates, alpha), alpha)
    nodes = step.nodes
    contradicting = contributions.contradictions(step.candidate, step.champion or {}, alpha)
    sources = GateCheck("sources", GateFinding.PASSED, _sources_text(nodes, contradicting))
    found = replace(
        found,
        checks=(*found.checks, sources),
        nodes=len(nodes),
        single_source=len(nodes) == 1,
        contradicting=contradicting,
    )
    return _without_each(found, step, gates, alpha)


def _without_each(
    found: GateVerdict, step: StepEvidence, gates: Gates, alpha: float
) -> GateVerdict:
    """Hold a step that is passed only thanks to one node."""
    if found.decision is not Decision.ADVANCE:
        return found
    for node in contributions.influential(step.candidate, step.champion or {}):
        others = evaluate(gates, step.gather(gates, alpha, without=node), alpha)
        if others.decision is Decision.ROLL_BACK:
            text = f"without {node} the candidate is worse: {others.reason}"
            check = GateCheck("sources", GateFinding.WAITING, text)
            checks = (*found.checks[:-1], check)
            return replace(found, decision=Decision.HOLD, reason=f"sources: {text}", checks=checks)
    return found


def _sources_text(nodes: list[str], contradicting: Mapping[str, str]) -> str:
    if len(nodes) == 1:
        return f"single source: all evidence comes from {nodes[0]}"
    text = f"evidence comes from {len(nodes):,} nodes"
    for node, how in list(contradicting.items())[:_NAMED]:
        text += f"; {node} contradicts its peers: {how}"
    return text


def _side(one: Contribution, gates: Gates, alpha: float) -> Side:
    return Side(
        predictions=one.requests,
        refused=one.refused,
        failed=one.failed,
        latency=_latency(one, gates.latency_quantile, alpha / 2),
        losses=one.losses,
    )


def _latency(one: Contribution, level: float, alpha: float) -> Latency:
    buckets = one.latency
    count = int(buckets.sum())
    if count == 0:
        return Latency()

    def milliseconds(share: float) -> float:
        nanoseconds = latency.quantile(buckets, share)
        return math.nan if nanoseconds is None else nanoseconds / 1e6

    low, high = quantile_levels(level, count, alpha)
    return Latency(
        count,
        milliseconds(level),
        milliseconds(low) if low > 0 else 0.0,
        milliseconds(high) if high <= 1 else math.inf,
    )
