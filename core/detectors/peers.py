"""One field of many sources, each compared with the pool of the others."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gnomon.core.detectors.alarm import Alarm, ChangeKind
from gnomon.core.detectors.build import build_tilt_set
from gnomon.core.detectors.interval import PeerInterval
from gnomon.core.detectors.moments import MomentCheck, check_window
from gnomon.core.detectors.pair import build_pair_tilt_set, describe_pair
from gnomon.core.detectors.tilts import PSEUDO, Floats, Tilt, TiltSet
from gnomon.core.detectors.unit_fit import UnitChange, fit_unit
from gnomon.core.reference import FieldReference, PairReference

EVIDENCE, LEAD, DIFFERENCE, AGE, RECENT = range(5)
COLUMNS = 5
MEMORY = 0.7  # weight of the past in what a source has done recently
HEAVIEST = 4.0  # a source counts in the pool for at most this many times the median source
LOG_CAP = 500.0


@dataclass(frozen=True, slots=True)
class Pool:
    """The pool of the trusted sources of one interval.

    Attributes:
        trusted: for each source, whether it is in the pool.
        weight: for each source, the factor of its counts in the pool, 0 to 1.
        counts: cells of the pool, weighted.
    """

    trusted: NDArray[np.bool_]
    weight: Floats
    counts: Floats


class PeerField:
    """Evidence that each source differs from its peers in one field.

    Args:
        reference: the field's reference; it lends its cells and names, not its counts' shares.
        tolerance: χ distance between a source and its peers that does not matter, in σ.
        design_effect: how many rows of a source count as one.
        threshold: log threshold used to choose the tilts.
    """

    def __init__(
        self, reference: FieldReference, tolerance: float, design_effect: float, threshold: float
    ) -> None:
        tilt_set = build_tilt_set(reference, tolerance=0.0, design_effect=1.0, threshold=threshold)
        self.reference = reference
        self._take(reference.name, tilt_set, tolerance, design_effect)

    def _take(self, name: str, tilt_set: TiltSet, tolerance: float, design_effect: float) -> None:
        keep = tilt_set.reach >= 0  # a burst is priced by the reference, which is not used here
        tilted = len(tilt_set.dense)
        scores = np.zeros((len(tilt_set.tilts), len(tilt_set.shares)))
        scores[:tilted] = tilt_set.dense
        member = tilt_set.group[tilted:, None] == tilt_set.cell_group[None, :]
        scores[tilted:] = member * tilt_set.theta[tilted:, None]
        self.name = name
        self.tilts: list[Tilt] = [
            tilt for tilt, kept in zip(tilt_set.tilts, keep, strict=True) if kept
        ]
        self.scores = scores[keep]
        self.steep, self.fall = np.exp(self.scores), np.exp(-self.scores)
        self.single = (np.arange(len(keep)) >= tilted)[keep]
        self.theta = tilt_set.theta[keep]
        weight = tilt_set.weight[keep]
        self.weight = weight / weight.sum()
        self.log_weight = np.log(self.weight)
        self.preference = tilt_set.preference[keep]
        self.tolerance = tolerance
        self.design_effect = design_effect

    def pool(self, counts: Floats, trusted: NDArray[np.bool_]) -> Pool:
        """Add up the trusted sources, none far heavier than the median one.

        Args:
            counts: float64 of shape (sources, cells).
            trusted: bool of shape (sources,).
        """
        rows = counts.sum(axis=1)
        present = rows[trusted & (rows > 0)]
        limit = HEAVIEST * float(np.median(present)) if len(present) else 0.0
        weight = np.where(trusted, np.minimum(1.0, limit / np.maximum(rows, 1.0)), 0.0)
        return Pool(trusted, weight, weight @ counts)

    @staticmethod
    def peers(counts: Floats, pool: Pool) -> Floats:
        """Return sources × cells, the pool without the source itself."""
        others: Floats = pool.counts - pool.weight[:, None] * counts
        return others

    def gains(self, counts: Floats, pool: Pool) -> Floats:
        """Return sources × tilts, the log evidence of this interval against each source."""
        rows = counts.sum(axis=1)[:, None]
        # The pool that a source is drawn from holds all of its own rows, whatever its weight.
        outside = (1.0 - pool.weight)[:, None]
        total = pool.counts.sum() + outside * rows
        everything = pool.counts + outside * counts
        price = rows * self._log_mean(everything, total, self.steep)
        # What the source has more, its peers have less: the smaller side is the tighter bound.
        rest = (total - rows) * self._log_mean(everything, total, self.fall)
        price = np.minimum(price, everything @ self.scores.T + rest)
        if self.tolerance == 0:
            price = np.minimum(
                price, self._swapped(counts, pool, outside, rows / np.maximum(total, 1.0))
            )
        gain: Floats = (counts @ self.scores.T - price) / self.design_effect
        gain[counts.sum(axis=1) == 0] = 0.0
        return gain

    def _log_mean(self, everything: Floats, total: Floats, steep: Floats) -> Floats:
        """Return the log mean of a row's tilt over the pool, the tolerance included."""
        safe = np.maximum(total, 1.0)
        mean = everything @ steep.T / safe
        if self.tolerance > 0:
            variance = np.maximum(everything @ (steep**2).T / safe - mean**2, 0.0)
            mean = mean + self.tolerance * np.sqrt(variance)
        found: Floats = np.log(np.maximum(mean, 1e-300))
        return found

    def _swapped(self, counts: Floats, pool: Pool, outside: Floats, share: Floats) -> Floats:
        """Price single cells with the margins' roles exchanged; infinite for other tilts."""
        member = (self.scores != 0) & self.single[:, None]
        cell = pool.counts @ member.T + outside * (counts @ member.T)
        price: Floats = cell * np.log1p(share * np.expm1(self.theta)[None, :])
        price[:, ~self.single] = np.inf
        return price

    def advance(self, state: Floats, counts: Floats, gain: Floats, pool: Pool) -> Floats:
        """Return the state after this interval; sources without rows keep theirs.

        Args:
            state: of each source, float64 of shape (sources, tilts, figures).
            counts: cell counts of this interval, float64 of shape (sources, cells).
            gain: what each source gains, float64 of shape (sources, tilts).
            pool: the counts of all sources together.
        """
        rows = counts.sum(axis=1)
        peers = self.peers(counts, pool)
        peer_rows = np.maximum(peers.sum(axis=1), 1.0)[:, None]
        own_mean = counts @ self.scores.T / np.maximum(rows, 1.0)[:, None]
        after = state.copy()
        fresh = state[:, :, LEAD] <= 0
        after[fresh, LEAD : AGE + 1] = 0.0
        after[:, :, EVIDENCE] = (1 + state[:, :, EVIDENCE]) * np.exp(np.minimum(gain, LOG_CAP))
        after[:, :, LEAD] += gain
        after[:, :, DIFFERENCE] += own_mean - peers @ self.scores.T / peer_rows
        after[:, :, AGE] += 1
        after[:, :, RECENT] = MEMORY * state[:, :, RECENT] + gain
        after[rows == 0] = state[rows == 0]
        return after

    def suspicion(self, state: Floats) -> Floats:
        """Return for each source its strongest log evidence, weighted, whatever has alarmed.

        Evidence that has stopped growing does not count: the source has been repaired.
        """
        lead = np.where(state[:, :, RECENT] > 0, state[:, :, LEAD] + self.log_weight, -np.inf)
        best: Floats = np.max(lead, axis=1)
        return best

    def evidence(self, state: Floats) -> Floats:
        """Return for each source the log evidence that is compared with the threshold."""
        found: Floats = np.log(np.maximum(state[:, :, EVIDENCE] @ self.weight, 1e-300))
        return found

    def alarm(self, state: Floats, evidence: tuple[float, float], interval: PeerInterval) -> Alarm:
        """Describe the alarm of one source.

        Args:
            state: the source's state, float64 of shape (tilts, columns).
            evidence: natural logarithms of the evidence and of the threshold.
            interval: what the source and its peers counted in this interval.
        """
        found, threshold = evidence
        lead = state[:, LEAD] + self.preference
        winner = int(lead.argmax())
        check = self._check(interval)
        change = self._unit(self.tilts[winner].kind, interval, check)
        if change is None:
            winner, (distance, unit, text) = self._find_cause(state, lead, interval.peers, check)
            kind = self.tilts[winner].kind
        else:
            text = f"looks as if its unit had changed here and not at the peers: {change.label}"
            kind, distance, unit = ChangeKind.UNIT, change.factor, "×"
        found = max(found, float(state[winner, LEAD] + self.log_weight[winner]))
        age = max(int(state[winner, AGE]), 1)
        return Alarm(self.name, kind, found, threshold, age, distance, unit, f"{self.name} {text}")

    def _find_cause(
        self, state: Floats, lead: Floats, peers: Floats, check: MomentCheck
    ) -> tuple[int, tuple[float, str, str]]:
        """Return the best tilt that is no unit and agrees with the moments, and its description."""
        refused = {ChangeKind.UNIT}
        while True:
            lead[[tilt.kind in refused for tilt in self.tilts]] = -np.inf
            winner = int(lead.argmax())
            tilt = self.tilts[winner]
            difference = float(state[winner, DIFFERENCE]) / max(int(state[winner, AGE]), 1)
            cause = self._describe(tilt, difference, float(self.theta[winner]), peers)
            if check.allows(tilt.kind, cause[0]):
                return winner, cause
            refused.add(tilt.kind)

    def _check(self, interval: PeerInterval) -> MomentCheck:
        return check_window(interval.before, interval.seen, self.reference, interval.counts)

    def _unit(
        self, kind: ChangeKind, interval: PeerInterval, check: MomentCheck
    ) -> UnitChange | None:
        return fit_unit(self.reference, kind, interval.peers + PSEUDO, interval.counts, check)

    def _describe(
        self, tilt: Tilt, difference: float, theta: float, peers: Floats
    ) -> tuple[float, str, str]:
        if tilt.kind is ChangeKind.LOCATION:
            # The score of a shift δ is close to δ·z − δ²/2, z the normal score.
            distance = difference / tilt.size
            return distance, "σ", f"is about {distance:+.2f} σ from the peers"
        if tilt.kind is ChangeKind.SCALE:
            # The score of a spread s is close to z²(1 − 1/s²)/2.
            square = 1 + 2 * difference / (1 - tilt.size**-2)
            distance = float(np.sqrt(max(square, 0.0)))
            return distance, "×", f"spreads about {distance:.2f} times as wide as at the peers"
        distance = difference / theta
        return distance, "share", f"({tilt.label}): {distance:+.2%} of rows against the peers"


class PeerPair(PeerField):
    """Evidence that two fields go together otherwise in one source than in each of its peers.

    Args:
        reference: the pair's reference; it lends its name and the steps of the tilts.
        tolerance, design_effect, threshold: as in `PeerField`.
    """

    def __init__(
        self, reference: PairReference, tolerance: float, design_effect: float, threshold: float
    ) -> None:
        tilt_set = build_pair_tilt_set(reference, 1.0, 0.0, threshold)
        self._take(reference.name, tilt_set, tolerance, design_effect)

    def _check(self, interval: PeerInterval) -> MomentCheck:
        return MomentCheck(interval.before, interval.seen)

    def _unit(
        self, kind: ChangeKind, interval: PeerInterval, check: MomentCheck
    ) -> UnitChange | None:
        return None

    def _describe(
        self, tilt: Tilt, difference: float, theta: float, peers: Floats
    ) -> tuple[float, str, str]:
        distance = difference / theta
        theirs = float(peers[0] / max(peers.sum(), 1.0))
        text = describe_pair(min(max(theirs + distance, 0.0), 1.0), theirs, "at the peers")
        return distance, "share", f"go together otherwise: {text}"
