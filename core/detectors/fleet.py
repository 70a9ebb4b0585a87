"""Finds sources that differ from their peers, and changes that all sources share.

Outliers. In every interval each field of each source is compared with the pool of trusted sources
in that same interval, so that a season or a rollout that moves all of them cancels out. For a tilt
θ, a source with n rows and counts c, and shares p̂ of the pool with that source in it,

    log e(θ) = θ·c/d − (n/d)·log(Z + τ√V),   Z = Σ p̂ exp(θ),  V = Σ p̂ exp(2θ) − Z².

If the rows of the pool are exchangeable between sources, c is a draw without replacement from the
pool; the mean of exp(θ·c) is then at most that of a draw with replacement (Hoeffding 1963,
theorem 4), so e has a mean of at most 1 exactly: no reference enters, and no approximation. For a
single cell with C rows among the pool's N the two margins may change roles, and the cheaper of
`n·log Z` and `C·log(1 + (n/N)(exp(θ) − 1))` is the price. So may source and peers: what the one
has more the others have less. A source with far more rows than the
others is thinned to a few times their median in the pool, which keeps the guarantee (Jensen).

A broken source distorts the pool. So the source with the most evidence against it leaves
the pool first, and the others are compared again without it; it is trusted again when its evidence
is gone. At least half of the sources stay in the pool.

Fleet-wide. The sum of the trusted sources' counts is compared with the profile's reference, with
tolerance and design effect (`FieldDetector`).

Pairs of fields are watched by the same two tests, with a tenth of the budget
(`gnomon.core.detectors.model.PAIRS`). A field that moves takes its pairs with it; a field's
alarm is not repeated for its pairs.

Guarantee: at most one false alarm in `windows_per_false_alarm` intervals on average, half of them
for each test, divided among sources, fields and pairs. With fewer than three sources
no source can be named an outlier.

References: Hoeffding, "Probability inequalities for sums of bounded random variables" (1963);
Shin, Ramdas and Rinaldo, "E-detectors" (2022).
"""

import math
from collections.abc import Mapping, Sequence
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from gnomon.core.detectors.field import FieldDetector
from gnomon.core.detectors.fleet_state import FleetState, decode_fleet_state
from gnomon.core.detectors.fleet_verdict import FleetVerdict
from gnomon.core.detectors.interval import FieldInterval, PeerInterval
from gnomon.core.detectors.model import PAIRS
from gnomon.core.detectors.moments import NO_MOMENTS
from gnomon.core.detectors.pair import PairDetector
from gnomon.core.detectors.peers import COLUMNS, EVIDENCE, PeerField, PeerPair, Pool
from gnomon.core.reference import PAIR_CELLS, FieldReference, PairReference
from gnomon.core.window.reading import Moments

Counts = NDArray[np.int64]


class _FleetSettings(TypedDict):
    windows_per_false_alarm: float
    tolerance: float
    block_rows: float


class FleetDetector:
    """Separates a source that has left its peers from a change of the whole fleet.

    Args:
        references: the fields' references, in the order of the counts.
        pairs: pairs of these fields, watched for how they go together.
        windows_per_false_alarm: mean number of intervals between false alarms of the fleet.
        tolerance: χ distance of the fleet from its reference that does not matter, in σ.
        block_rows: rows of the blocks on which the references' design effects were measured.
        peer_tolerance: χ distance of a source from its peers that does not matter, in σ.
        peer_design_effect: how many rows of one source count as one beside its peers; not the
            design effect of the references, for what all sources share cancels out.

    >>> import numpy as np
    >>> from gnomon.core.reference import FieldReference
    >>> colour = FieldReference(
    ...     "colour", "category", categories=("red", "blue"), counts=(5000, 5000, 0, 0, 0)
    ... )
    >>> fleet = FleetDetector([colour], windows_per_false_alarm=1000)
    >>> moved, broken = np.array([400, 100, 0, 0, 0]), np.array([200, 300, 0, 0, 0])
    >>> verdict = fleet.update({"a": [moved], "b": [moved], "c": [moved], "d": [broken]})
    >>> [source for source, _ in verdict.outliers], [alarm.field for alarm in verdict.fleet_wide]
    (['d'], ['colour'])
    """

    def __init__(
        self,
        references: Sequence[FieldReference],
        *,
        windows_per_false_alarm: float,
        pairs: Sequence[PairReference] = (),
        tolerance: float = 0.1,
        block_rows: float = 0.0,
        peer_tolerance: float = 0.0,
        peer_design_effect: float = 1.0,
    ) -> None:
        if not references:
            raise ValueError("a fleet detector needs at least one field's reference")
        self.references, self.pairs = tuple(references), tuple(pairs)
        self._members = _members(self.references, self.pairs)
        paired = PAIRS if pairs else 0.0
        shares = [0.5 * (1 - paired) / len(references)] * len(references)
        shares += [0.5 * paired / max(len(pairs), 1)] * len(pairs)
        self._budgets = [windows_per_false_alarm / share for share in shares]
        self._fleet_wide: list[FieldDetector | PairDetector] = []
        self._peers: list[PeerField] = []
        settings: _FleetSettings = {
            "windows_per_false_alarm": windows_per_false_alarm,
            "tolerance": tolerance,
            "block_rows": block_rows,
        }
        peer = (peer_tolerance, peer_design_effect)
        for field_reference in references:
            self._fleet_wide.append(FieldDetector(field_reference, share=shares[0], **settings))
            self._peers.append(PeerField(field_reference, *peer, math.log(self._budgets[0])))
        for pair in pairs:
            self._fleet_wide.append(PairDetector(pair, share=shares[-1], **settings))
            self._peers.append(PeerPair(pair, *peer, math.log(self._budgets[-1])))
        self._sources: dict[str, int] = {}
        self._state = [np.zeros((0, len(peer.tilts), COLUMNS)) for peer in self._peers]
        self._excluded = np.zeros((len(self._peers), 0), dtype=np.bool_)

    @property
    def threshold(self) -> float:
        """Log evidence at which a source's field is named an outlier; grows with the sources."""
        return self._threshold(0)

    def _threshold(self, index: int) -> float:
        return math.log(self._budgets[index] * max(len(self._sources), 1))

    def update(
        self,
        counts_by_source: Mapping[str, Sequence[Counts]],
        pairs_by_source: Mapping[str, Sequence[Counts]] | None = None,
        moments_by_source: Mapping[str, Sequence[Moments]] | None = None,
    ) -> FleetVerdict:
        """Take one interval of each source.

        Sources may come, stay away and come back; a source without pairs gathers no evidence
        there.

        Args:
            counts_by_source: for each source the cell counts of each field, int64.
            pairs_by_source: for each source the counts of each pair, if any.
            moments_by_source: for each source the moments of each field, if they are known; an
                alarm names only a cause that agrees with them.

        Raises:
            ValueError: counts do not fit the reference; it names source and field.
        """
        unseen = [np.zeros(PAIR_CELLS, dtype=np.int64)] * len(self.pairs)
        unknown = [NO_MOMENTS] * len(self.references)
        pairs, moments = pairs_by_source or {}, moments_by_source or {}
        counts = {
            source: [*fields, *pairs.get(source, unseen)]
            for source, fields in counts_by_source.items()
        }
        self._admit(counts)
        verdict = FleetVerdict()
        names = sorted(counts)
        rows = np.array([self._sources[name] for name in names], dtype=np.intp)
        for index in range(len(self._peers) if names else 0):
            seen = [moments.get(name, unknown) for name in names]
            known = [one[index] if index < len(one) else NO_MOMENTS for one in seen]
            interval = FieldInterval(names, rows, [counts[name][index] for name in names], known)
            self._evaluate(index, interval, verdict)
        return verdict

    def _admit(self, counts_by_source: Mapping[str, Sequence[Counts]]) -> None:
        watched = [(one.name, one.cells) for one in self.references]
        watched += [(one.name, PAIR_CELLS) for one in self.pairs]
        for source, given in counts_by_source.items():
            if len(given) != len(watched):
                raise ValueError(
                    f"source {source!r}: counts of {len(given)} fields and pairs, "
                    f"expected {len(watched)}"
                )
            for (name, cells), counts in zip(watched, given, strict=True):
                if len(counts) != cells:
                    raise ValueError(
                        f"source {source!r}, field {name!r}: {len(counts)} cells, expected {cells}"
                    )
            self._sources.setdefault(source, len(self._sources))
        new = len(self._sources) - self._excluded.shape[1]
        if new:
            self._excluded = np.pad(self._excluded, ((0, 0), (0, new)))
            self._state = [np.pad(one, ((0, new), (0, 0), (0, 0))) for one in self._state]

    def _evaluate(self, index: int, interval: FieldInterval, verdict: FleetVerdict) -> None:
        names, rows = interval.names, interval.rows
        used = 2 if self._members[index] else None  # a pair's incomplete rows carry no evidence
        integers = np.array([one[:used] for one in interval.counts])
        excluded = self._excluded[index, rows]
        explained = self._explained(index, rows)
        if len(names) >= 3:
            counts = integers.astype(np.float64)
            after, excluded, pool = self._compare(index, rows, counts)
            self._alarm(index, interval, after, (counts, pool), verdict)
            self._excluded[index, rows] = excluded
        excluded = np.logical_or(excluded, explained)
        if excluded.any():
            named = tuple(name for name, one in zip(names, excluded, strict=True) if one)
            verdict.excluded[self._peers[index].name] = named
        trusted = ~excluded if not excluded.all() else np.ones(len(names), dtype=np.bool_)
        total = np.ascontiguousarray(integers[trusted].sum(axis=0))
        alarm = self._fleet_wide[index].update(total, interval.merge(trusted))
        if alarm is not None and not self._field_moved(index, verdict):
            verdict.fleet_wide.append(alarm)

    def _explained(self, index: int, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Return which sources have a field of the pair that is an outlier by itself."""
        members = self._members[index]
        return np.asarray(self._excluded[list(members)][:, rows].any(axis=0), dtype=np.bool_)

    def _field_moved(self, index: int, verdict: FleetVerdict) -> bool:
        """Return whether one of a pair's fields alarms too, or is about to.

        A field that moves across its median changes the concordance of its pairs in any case.
        """
        members = [self._fleet_wide[member] for member in self._members[index]]
        alarmed = {alarm.field for alarm in verdict.fleet_wide}
        return any(one.name in alarmed or 2 * one.evidence >= one.threshold for one in members)

    def _compare(
        self, index: int, rows: NDArray[np.intp], counts: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_], Pool]:
        """Return the sources' states after this interval, who is excluded, and the pool."""
        peer, before = self._peers[index], self._state[index][rows]
        level = self._threshold(index) / 2
        out = np.logical_or(self._excluded[index, rows], self._explained(index, rows))
        while True:
            pool = peer.pool(counts, ~out)
            after = peer.advance(before, counts, peer.gains(counts, pool), pool)
            suspicion = np.where(out, -np.inf, peer.suspicion(after))
            worst = int(suspicion.argmax())
            if suspicion[worst] < level or 2 * (int(out.sum()) + 1) > len(rows):
                break
            out[worst] = True
        return after, out & (peer.suspicion(after) >= level), pool

    def _alarm(
        self,
        index: int,
        interval: FieldInterval,
        after: NDArray[np.float64],
        seen: tuple[NDArray[np.float64], Pool],
        verdict: FleetVerdict,
    ) -> None:
        peer, (counts, pool), rows = self._peers[index], seen, interval.rows
        threshold, explained = self._threshold(index), self._explained(index, rows)
        evidence, peers = peer.evidence(after), peer.peers(counts, pool)
        for position in np.flatnonzero(evidence >= threshold):
            others = pool.trusted & (np.arange(len(rows)) != position)
            both = interval.merge(others), interval.moments[position]
            alarm = peer.alarm(
                after[position],
                (float(evidence[position]), threshold),
                PeerInterval(counts[position], peers[position], *both),
            )
            if not explained[position]:
                verdict.outliers.append((interval.names[position], alarm))
            after[position, :, EVIDENCE] = 0.0  # restart; what keeps it out of the pool stays
        self._state[index][rows] = after

    def state(self) -> bytes:
        """Return the state as bytes, from which `restore` goes on as if nothing had happened."""
        fleet_wide = [detector.state() for detector in self._fleet_wide]
        return FleetState(list(self._sources), self._excluded, fleet_wide, self._state).encode()

    def restore(self, data: bytes) -> None:
        """Go on from `data`; raises `StateMismatch` if it belongs to another detector."""
        tilts = [len(peer.tilts) for peer in self._peers]
        state = decode_fleet_state(data, tilts, COLUMNS, len(self.references))
        for detector, state_bytes in zip(self._fleet_wide, state.fleet_wide, strict=True):
            detector.restore(state_bytes)
        self._sources = {name: index for index, name in enumerate(state.sources)}
        self._excluded, self._state = state.excluded, state.evidence


def _members(
    references: Sequence[FieldReference], pairs: Sequence[PairReference]
) -> list[tuple[int, ...]]:
    """Return for each field nothing, for each pair the positions of its two fields."""
    places = {one.name: place for place, one in enumerate(references)}
    for pair in pairs:
        if not {pair.first, pair.second} <= set(places):
            raise ValueError(f"the pair {pair.name} names a field without a reference")
    found: list[tuple[int, ...]] = [()] * len(references)
    return [*found, *((places[pair.first], places[pair.second]) for pair in pairs)]
