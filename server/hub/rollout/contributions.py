"""What single nodes contribute to a gate's evidence, so that no node decides a rollout alone.

* A node's part of a side is at most `Gates.maximum_node_share` of it, if three nodes or more have
  traffic: what it counted is scaled down, so its rates and means stay and their weight shrinks.
* A step is not passed if the candidate is *shown* to be worse once any one node is left out.
* A node contradicts its peers if the bounds of the difference that it sees between candidate and
  champion do not overlap the median of all nodes' bounds, in which each node has one vote: it may
  hide a bad candidate, or make up one. Nodes with other data see other rates, but on both sides.

With one node nothing of that is possible; the gate says that its evidence has a single source.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median_high, median_low

import numpy as np
from numpy.typing import NDArray

from gnomon.core.cells import latency
from gnomon.server.hub.monitoring.losses import Losses
from gnomon.server.hub.rollout.bounds import Bounds, mean_bounds, share_bounds

#: Nodes from which on a single one's part is bounded.
FEWEST_NODES = 3

#: Nodes that are compared with their peers, those with the most rows.
COMPARED = 20

#: How far apart the differences must be, in shares of requests, and the ratios of errors.
APART = 0.02
APART_RATIO = 1.1

#: Labels of a side below which its error is not compared.
FEWEST_LABELS = 30


@dataclass(slots=True)
class Contribution:
    """What one node counted of one version in a step."""

    outcomes: Counter[str] = field(default_factory=Counter)
    latency: NDArray[np.int64] = field(
        default_factory=lambda: np.zeros(latency.BUCKETS, dtype=np.int64)
    )
    losses: Losses = field(default_factory=Losses)

    @property
    def requests(self) -> int:
        """How many requests the node counted."""
        return self.outcomes.total()

    @property
    def refused(self) -> int:
        """How many of them the contract of the inputs refused."""
        return self.outcomes["refused"]

    @property
    def failed(self) -> int:
        """How many of them the version failed; if a fallback answered, it had failed."""
        return self.outcomes["failed"] + self.outcomes["fallback"]

    def add(self, other: "Contribution") -> None:
        """Add what another node, or another window, counted."""
        self.outcomes.update(other.outcomes)
        self.latency += other.latency
        self.losses += other.losses

    def scaled(self, requests: float, labels: float) -> "Contribution":
        """Return a part of it.

        Args:
            requests: the part of its requests and latencies, at most 1.
            labels: the part of its labels, at most 1.
        """
        if requests >= 1 and labels >= 1:
            return self
        outcomes = Counter({name: int(rows * requests) for name, rows in self.outcomes.items()})
        buckets = np.floor(self.latency * min(requests, 1.0)).astype(np.int64)
        return Contribution(outcomes, buckets, _scaled_losses(self.losses, min(labels, 1.0)))


Side = Mapping[str, Contribution]
"""What each node counted of one version."""


def total(side: Side, maximum_share: float, without: str = "") -> Contribution:
    """Return what nodes counted together, none with more than its share.

    Args:
        side: node → what it counted.
        maximum_share: the largest part that one node may have, if there are three or more.
        without: a node that is left out.
    """
    left = {node: one for node, one in side.items() if node != without}
    requests = _parts({node: one.requests for node, one in left.items()}, maximum_share)
    labels = _parts({node: one.losses.count for node, one in left.items()}, maximum_share)
    together = Contribution()
    for node, one in left.items():
        together.add(one.scaled(requests[node], labels[node]))
    return together


def influential(candidate: Side, champion: Side) -> list[str]:
    """Return the nodes that a result can hang on, if there are three or more."""
    if len(sources(candidate, champion)) < FEWEST_NODES:
        return []
    found: dict[str, None] = {}
    for side in filter(None, (candidate, champion)):
        found[max(side, key=lambda node: side[node].requests)] = None
        found[max(side, key=lambda node: side[node].losses.count)] = None
        found[max(side, key=lambda node: side[node].losses.absolute_error)] = None
    return list(found)


def sources(*sides: Side) -> list[str]:
    """Return the nodes that counted anything, by name."""
    return sorted(
        {node for side in sides for node, one in side.items() if one.requests or one.losses.count}
    )


def contradictions(candidate: Side, champion: Side, alpha: float) -> dict[str, str]:
    """Return the nodes that contradict their peers, and how.

    Args:
        candidate: node → what it counted of the candidate.
        champion: node → what it counted of the champion.
        alpha: probability of a wrong name, over all nodes and looks.
    """
    both = sorted(set(candidate) & set(champion), key=lambda node: -candidate[node].requests)
    both = both[:COMPARED]
    if len(both) < FEWEST_NODES:
        return {}
    each, found = alpha / (8 * len(both)), {}
    for what in ("failed", "refused"):
        seen = {node: _difference(candidate[node], champion[node], what, each) for node in both}
        for node in _apart(seen, lambda bounds: Bounds(bounds.lower - APART, bounds.upper + APART)):
            share = getattr(candidate[node], what) / candidate[node].requests
            found[node] = f"it says that {share:.2%} of the candidate's requests {what}"
    seen = {node: _error_ratio(candidate[node], champion[node], each) for node in both}
    for node in _apart(seen, lambda b: Bounds(b.lower / APART_RATIO, b.upper * APART_RATIO)):
        found[node] = "its ratio of the candidate's error to the champion's is another"
    return found


def _apart(seen: Mapping[str, Bounds], widen: Callable[[Bounds], Bounds]) -> list[str]:
    """Return the nodes whose bounds do not overlap the medians of all bounds.

    Args:
        seen: node → bounds of what it sees.
        widen: adds what does not matter to bounds.
    """
    middle = widen(
        Bounds(
            median_low(bounds.lower for bounds in seen.values()),
            median_high(bounds.upper for bounds in seen.values()),
        )
    )
    return [
        node
        for node, bounds in seen.items()
        if bounds.lower > middle.upper or bounds.upper < middle.lower
    ]


def _difference(candidate: Contribution, champion: Contribution, what: str, alpha: float) -> Bounds:
    mine, theirs = (
        share_bounds(getattr(one, what), one.requests, alpha) for one in (candidate, champion)
    )
    return Bounds(mine.lower - theirs.upper, mine.upper - theirs.lower)


def _error_ratio(candidate: Contribution, champion: Contribution, alpha: float) -> Bounds:
    """Bound how many times the champion's mean error the candidate's is."""
    mine, theirs = (_error_bounds(one.losses, alpha) for one in (candidate, champion))
    return Bounds(
        mine.lower / theirs.upper if theirs.upper > 0 else 0.0,
        mine.upper / theirs.lower if theirs.lower > 0 else math.inf,
    )


def _error_bounds(losses: Losses, alpha: float) -> Bounds:
    if losses.count < FEWEST_LABELS:
        return Bounds(0.0, math.inf)
    found = mean_bounds(
        losses.count, losses.absolute_error, losses.squared_error, alpha, 10 * FEWEST_LABELS
    )
    return Bounds(max(0.0, found.lower), found.upper)


def _parts(counts: Mapping[str, int], maximum_share: float) -> dict[str, float]:
    """Return what part of each count makes none more than its share of the sum of all."""
    most = _limit(sorted(counts.values(), reverse=True), maximum_share)
    return {node: min(1.0, most / count) if count else 1.0 for node, count in counts.items()}


def _limit(counts: list[int], maximum_share: float) -> float:
    """Return the count at which the largest are cut off, so that none is more than its share."""
    counts = [count for count in counts if count]
    share = max(maximum_share, 1.0 / max(len(counts), 1))
    if len(counts) < FEWEST_NODES:
        return float(max(counts, default=0))
    rest = float(sum(counts))
    for cut, count in enumerate(counts):
        # With `cut` counts cut off at the limit, each is `share` of the sum.
        left = 1.0 / share - cut
        limit = rest / left if left > 0 else float(counts[-1])
        if count <= limit:
            return limit
        rest -= count
    return float(counts[-1])


def _scaled_losses(losses: Losses, part: float) -> Losses:
    count = int(losses.count * part)
    if not count or count == losses.count:
        return losses if count else Losses()
    factor = count / losses.count
    return Losses(
        count, losses.error * factor, losses.absolute_error * factor, losses.squared_error * factor
    )
