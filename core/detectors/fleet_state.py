"""A fleet detector's state as bytes: sources, the excluded ones, and each detector's own state."""

import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gnomon.core.detectors.state_reader import LENGTH, StateReader
from gnomon.core.detectors.tilt_detector import StateMismatch

_MAGIC = b"GFL1"


class FleetState(NamedTuple):
    """All that a fleet detector knows besides its references.

    Attributes:
        sources: names of the sources, in the order of the arrays.
        excluded: bool of shape (fields and pairs, sources), what is kept out of the pool.
        fleet_wide: the state of the detector of each field and pair.
        evidence: for each field and pair float64 of shape (sources, tilts, columns).
    """

    sources: list[str]
    excluded: NDArray[np.bool_]
    fleet_wide: list[bytes]
    evidence: list[NDArray[np.float64]]

    def encode(self) -> bytes:
        """Return the state as compressed bytes."""
        names = [name.encode() for name in self.sources]
        parts = [_MAGIC, LENGTH.pack(len(names))]
        parts += [LENGTH.pack(len(name)) + name for name in names]
        parts.append(np.packbits(self.excluded).tobytes())
        parts += [LENGTH.pack(len(data)) + data for data in self.fleet_wide]
        parts += [one.astype("<f8").tobytes() for one in self.evidence]
        return zlib.compress(b"".join(parts), 1)


def decode_fleet_state(data: bytes, tilts: Sequence[int], columns: int, fields: int) -> FleetState:
    """Return the state that `FleetState.encode` wrote.

    Args:
        data: the bytes.
        tilts: number of tilts of each field and pair.
        columns: numbers that are kept of each tilt.
        fields: number of fields, which errors name.

    Raises:
        StateMismatch: it is damaged, or of a detector of other fields.
    """
    try:
        reader = StateReader(zlib.decompress(data))
        if reader.take(4) != _MAGIC:
            raise StateMismatch(f"state of a fleet: must begin with {_MAGIC!r}")
        names = [reader.sized().decode() for _ in range(reader.length())]
        members, sources = len(tilts), len(names)
        bits = np.frombuffer(reader.take((members * sources + 7) // 8), np.uint8)
        excluded = np.unpackbits(bits, count=members * sources).reshape(members, sources)
        fleet_wide = [reader.sized() for _ in tilts]
        evidence = [reader.floats(sources, count, columns) for count in tilts]
        reader.finish()
    except (zlib.error, ValueError) as error:
        raise StateMismatch(f"state of a fleet of {fields} fields: {error}") from error
    return FleetState(names, excluded.astype(np.bool_), fleet_wide, evidence)
