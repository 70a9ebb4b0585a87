"""What sources counted of one field or pair in one interval."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gnomon.core.detectors.moments import merge_moments
from gnomon.core.detectors.tilts import Floats
from gnomon.core.window.reading import Moments


@dataclass(frozen=True, slots=True)
class FieldInterval:
    """All sources, in the order of their names.

    Attributes:
        names: the sources.
        rows: of the sources' states, int of shape (sources,).
        counts: cells of each source, int64.
        moments: of each source.
    """

    names: list[str]
    rows: NDArray[np.intp]
    counts: list[NDArray[np.int64]]
    moments: list[Moments]

    def merge(self, chosen: NDArray[np.bool_]) -> Moments:
        """Return the joint moments of the chosen sources, bool of shape (sources,)."""
        return merge_moments(self.moments[place] for place in np.flatnonzero(chosen))


@dataclass(frozen=True, slots=True)
class PeerInterval:
    """One source beside its peers.

    Attributes:
        counts: cells of the source.
        peers: cells of its peers.
        before: moments of the peers.
        seen: moments of the source.
    """

    counts: Floats
    peers: Floats
    before: Moments
    seen: Moments
