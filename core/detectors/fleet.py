"""Many sources in the same interval: has one left its peers, or have all moved?

Alone. In every interval each field of each source is compared with the pool of trusted sources in
that same interval, so that a season, a storm or a rollout that moves all of them cancels out. For
a tilt θ, a source with n rows and counts c, and shares p̂ of the pool with that source in it,

    log e(θ) = θ·c/d − (n/d)·log(Z + τ√V),   Z = Σ p̂ exp(θ),  V = Σ p̂ exp(2θ) − Z².

If the rows of the pool are exchangeable between sources, c is a draw without replacement from the
pool; the mean of exp(θ·c) is then at most that of a draw with replacement (Hoeffding 1963,
theorem 4), so e has a mean of at most 1 exactly: no reference enters, and no approximation. For a
single cell with C rows among the pool's N the two margins may change roles, and the cheaper of
`n·log Z` and `C·log(1 + (n/N)(exp(θ) − 1))` is the price. So may source and peers: what the one
has more the others have less. A source with far more rows than the
others is thinned to a few times their median in the pool, which keeps the guarantee (Jensen).

A broken source makes its peers look bad. So the source with the most evidence against it leaves
the pool first, and the others are judged again without it; it is trusted again when its evidence
is gone. At least half of the sources stay in the pool.

World. The sum of the trusted sources' counts runs against the profile's reference, with tolerance
and design effect (`FieldDetector`).

Guarantee: at most one false alarm in `windows_per_false_alarm` intervals on average, half of them
granted to each question, divided among sources and fields. With fewer than three sources nobody
can be told to be alone.

References: Hoeffding, "Probability inequalities for sums of bounded random variables" (1963);
Shin, Ramdas and Rinaldo, "E-detectors" (2022).
"""

import math
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gnomon.core.detectors.alarm import Alarm
from gnomon.core.detectors.field import FieldDetector
from gnomon.core.detectors.peers import COLUMNS, EVIDENCE, PeerField, Pool
from gnomon.core.detectors.watch import StateMismatch
from gnomon.core.reference import FieldReference

_MAGIC = b"GFL1"
_LENGTH = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class FleetVerdict:
    """What one interval says of the fleet.

    Attributes:
        alone: sources that have left their peers, each with its alarm.
        world: changes of the whole fleet against the profile's reference.
        suspects: sources kept out of the pool, by field.
    """

    alone: list[tuple[str, Alarm]] = field(default_factory=list)
    world: list[Alarm] = field(default_factory=list)
    suspects: dict[str, tuple[str, ...]] = field(default_factory=dict)


class FleetDetector:
    """Tells a source that has left its peers from a world that has moved.

    Args:
        references: the fields' references, in the order of the counts.
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
    >>> [source for source, _ in verdict.alone], [alarm.field for alarm in verdict.world]
    (['d'], ['colour'])
    """

    def __init__(
        self,
        references: Sequence[FieldReference],
        *,
        windows_per_false_alarm: float,
        tolerance: float = 0.1,
        block_rows: float = 0.0,
        peer_tolerance: float = 0.0,
        peer_design_effect: float = 1.0,
    ) -> None:
        if not references:
            raise ValueError("a fleet detector needs at least one field's reference")
        self.references = tuple(references)
        self._budget = 2.0 * windows_per_false_alarm * len(references)
        self._world = [
            FieldDetector(
                one,
                windows_per_false_alarm=windows_per_false_alarm,
                share=0.5 / len(references),
                tolerance=tolerance,
                block_rows=block_rows,
            )
            for one in references
        ]
        threshold = math.log(self._budget)
        self._peers = [
            PeerField(one, peer_tolerance, peer_design_effect, threshold) for one in references
        ]
        self._sources: dict[str, int] = {}
        self._state = [np.zeros((0, len(peer.tilts), COLUMNS)) for peer in self._peers]
        self._suspect = np.zeros((len(references), 0), dtype=np.bool_)

    @property
    def threshold(self) -> float:
        """Log evidence at which a source is said to be alone; grows with the sources known."""
        return math.log(self._budget * max(len(self._sources), 1))

    def update(self, counts_by_source: Mapping[str, Sequence[NDArray[np.int64]]]) -> FleetVerdict:
        """Take one interval: for each source its cell counts, field by field.

        Sources may come, stay away and come back. Raises `ValueError` naming source and field
        where counts do not fit the reference.
        """
        self._admit(counts_by_source)
        verdict = FleetVerdict()
        names = sorted(counts_by_source)
        rows = np.array([self._sources[name] for name in names], dtype=np.intp)
        for index in range(len(self.references)):
            if names:
                self._judge(index, names, rows, counts_by_source, verdict)
        return verdict

    def _admit(self, counts_by_source: Mapping[str, Sequence[NDArray[np.int64]]]) -> None:
        for source, fields in counts_by_source.items():
            if len(fields) != len(self.references):
                raise ValueError(
                    f"source {source!r}: counts of {len(fields)} fields, "
                    f"expected {len(self.references)}"
                )
            for reference, counts in zip(self.references, fields, strict=True):
                if len(counts) != reference.cells:
                    raise ValueError(
                        f"source {source!r}, field {reference.name!r}: {len(counts)} cells, "
                        f"expected {reference.cells}"
                    )
            self._sources.setdefault(source, len(self._sources))
        new = len(self._sources) - self._suspect.shape[1]
        if new:
            self._suspect = np.pad(self._suspect, ((0, 0), (0, new)))
            self._state = [np.pad(one, ((0, new), (0, 0), (0, 0))) for one in self._state]

    def _judge(
        self,
        index: int,
        names: list[str],
        rows: NDArray[np.intp],
        counts_by_source: Mapping[str, Sequence[NDArray[np.int64]]],
        verdict: FleetVerdict,
    ) -> None:
        reference = self.references[index]
        integers = np.array([counts_by_source[name][index] for name in names], dtype=np.int64)
        suspect = self._suspect[index, rows]
        if len(names) >= 3:
            counts = integers.astype(np.float64)
            after, suspect, pool = self._compare(index, rows, counts)
            self._alarm(index, names, rows, after, (counts, pool), verdict)
            self._suspect[index, rows] = suspect
        if suspect.any():
            accused = tuple(name for name, one in zip(names, suspect, strict=True) if one)
            verdict.suspects[reference.name] = accused
        trusted = integers[~suspect] if not suspect.all() else integers
        alarm = self._world[index].update(np.ascontiguousarray(trusted.sum(axis=0)))
        if alarm is not None:
            verdict.world.append(alarm)

    def _compare(
        self, index: int, rows: NDArray[np.intp], counts: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_], Pool]:
        """Return the sources' states after this interval, who is suspect, and the pool."""
        peer, before = self._peers[index], self._state[index][rows]
        level = self.threshold / 2
        out = self._suspect[index, rows].copy()
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
        names: list[str],
        rows: NDArray[np.intp],
        after: NDArray[np.float64],
        seen: tuple[NDArray[np.float64], Pool],
        verdict: FleetVerdict,
    ) -> None:
        peer, (counts, pool) = self._peers[index], seen
        evidence, peers = peer.evidence(after), peer.peers(counts, pool)
        for position in np.flatnonzero(evidence >= self.threshold):
            alarm = peer.alarm(
                after[position],
                float(evidence[position]),
                self.threshold,
                counts[position],
                peers[position],
            )
            verdict.alone.append((names[position], alarm))
            after[position, :, EVIDENCE] = 0.0  # restart; what keeps it out of the pool stays
        self._state[index][rows] = after

    def state(self) -> bytes:
        """Return the state as bytes, from which `restore` goes on as if nothing had happened."""
        names = [name.encode() for name in self._sources]
        parts = [_MAGIC, _LENGTH.pack(len(names))]
        parts += [_LENGTH.pack(len(name)) + name for name in names]
        parts.append(np.packbits(self._suspect).tobytes())
        for detector in self._world:
            data = detector.state()
            parts.append(_LENGTH.pack(len(data)) + data)
        parts += [one.astype("<f8").tobytes() for one in self._state]
        return zlib.compress(b"".join(parts), 1)

    def restore(self, data: bytes) -> None:
        """Go on from `data`; raises `StateMismatch` where it belongs to another detector."""
        try:
            reader = _Reader(zlib.decompress(data))
            if reader.take(4) != _MAGIC:
                raise StateMismatch(f"state of a fleet: must begin with {_MAGIC!r}")
            names = [reader.sized().decode() for _ in range(reader.length())]
            fields, sources = len(self.references), len(names)
            bits = np.frombuffer(reader.take((fields * sources + 7) // 8), np.uint8)
            suspect = np.unpackbits(bits, count=fields * sources).reshape(fields, sources)
            worlds = [reader.sized() for _ in self._world]
            state = [reader.floats(sources, len(peer.tilts), COLUMNS) for peer in self._peers]
            reader.finish()
        except (zlib.error, ValueError) as error:
            raise StateMismatch(
                f"state of a fleet of {len(self.references)} fields: {error}"
            ) from error
        for detector, world in zip(self._world, worlds, strict=True):
            detector.restore(world)
        self._sources = {name: index for index, name in enumerate(names)}
        self._suspect, self._state = suspect.astype(np.bool_), state


class _Reader:
    """Reads a state from front to back and refuses to read past its end."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, size: int) -> bytes:
        part = self._data[self._at : self._at + size]
        if len(part) != size:
            raise ValueError(f"ends after {len(self._data)} bytes, expected more")
        self._at += size
        return part

    def length(self) -> int:
        return int(_LENGTH.unpack(self.take(_LENGTH.size))[0])

    def sized(self) -> bytes:
        return self.take(self.length())

    def floats(self, *shape: int) -> NDArray[np.float64]:
        data = self.take(8 * math.prod(shape))
        return np.frombuffer(data, "<f8").reshape(shape).astype(np.float64)

    def finish(self) -> None:
        if self._at != len(self._data):
            raise ValueError(f"{len(self._data) - self._at} bytes too many")
