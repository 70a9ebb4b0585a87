"""What detectors over a set of tilts share: threshold, evidence, and state as bytes."""

import math
import struct
from collections.abc import Collection

import numpy as np

from gnomon.core.detectors._tilt_evidence import TiltEvidence
from gnomon.core.detectors.alarm import ChangeKind
from gnomon.core.detectors.tilts import TiltSet

_HEADER = struct.Struct("<4sIId")
_MAGIC = b"GFD1"


class StateMismatch(ValueError):
    """The state was written by a detector with another set of tilts."""


class TiltDetector:
    """A set of tilts and what it has gathered.

    Args:
        name: field or pair, for messages.
        tilt_set: the tilts.
        design_effect: how many rows count as one.
        block_rows: rows of the blocks on which it was measured; 0 takes it as it is.
        threshold: natural logarithm of the evidence that raises an alarm.
    """

    def __init__(
        self,
        name: str,
        tilt_set: TiltSet,
        design_effect: float,
        block_rows: float,
        threshold: float,
    ) -> None:
        self.name = name
        self.threshold = threshold
        self._tilt_set = tilt_set
        self._kernel = TiltEvidence(tilt_set, design_effect, block_rows, threshold)

    @property
    def evidence(self) -> float:
        """Natural logarithm of the evidence after the last window; alarms at `threshold`."""
        return self._kernel.evidence

    def _explain(self, winner: int) -> tuple[float, int]:
        """Return mean score and windows since the change of a tilt."""
        _, _, score, rows, age = (float(value) for value in self._kernel.get_state()[:, winner])
        return score / rows, max(int(age), 1)

    def _restart(self) -> float:
        """Forget what was gathered; return the evidence that it was."""
        evidence = self._kernel.evidence
        self._kernel.reset()
        return evidence

    def _best(self, excluded: Collection[ChangeKind]) -> int:
        """Return the tilt that explains best what was gathered, some kinds left out."""
        lead = self._kernel.get_state()[1] + self._tilt_set.preference
        lead[[tilt.kind in excluded for tilt in self._tilt_set.tilts]] = -np.inf
        return int(lead.argmax())

    def state(self) -> bytes:
        """Return the state as bytes, from which `restore` goes on as if nothing had happened."""
        state = self._kernel.get_state()
        header = _HEADER.pack(_MAGIC, *state.shape, self._kernel.evidence)
        return header + state.astype("<f8").tobytes()

    def restore(self, data: bytes) -> None:
        """Go on from `data`; raises `StateMismatch` if it belongs to another detector."""
        tilts = len(self._tilt_set.tilts)
        expected = _HEADER.size + 8 * tilts * 5
        if len(data) != expected or data[:4] != _MAGIC:
            raise StateMismatch(
                f"state of {self.name!r}: got {len(data)} bytes beginning "
                f"{data[:4]!r}, expected {expected} beginning {_MAGIC!r}"
            )
        *_, evidence = _HEADER.unpack_from(data)
        state = np.frombuffer(data, "<f8", offset=_HEADER.size).reshape(5, tilts)
        self._kernel.set_state(np.ascontiguousarray(state, dtype=np.float64), evidence)


def log_threshold(
    windows_per_false_alarm: float, share: float, tolerance: float, design_effect: float
) -> float:
    """Check the parameters that all detectors take, and return the log threshold.

    Args:
        windows_per_false_alarm: mean number of windows between false alarms, at least 1.
        share: of that budget, in (0, 1].
        tolerance: χ distance that does not matter, in σ, in [0, 1).
        design_effect: how many rows count as one, at least 1.

    Raises:
        ValueError: a parameter is out of range; the message names it.
    """
    _require(windows_per_false_alarm >= 1, "windows_per_false_alarm", "at least 1")
    _require(0 < share <= 1, "share", "in (0, 1]")
    _require(0 <= tolerance < 1, "tolerance", "in [0, 1)")
    _require(design_effect >= 1, "design_effect", "at least 1")
    return math.log(windows_per_false_alarm / share)


def _require(holds: bool, name: str, wanted: str) -> None:
    if not holds:
        raise ValueError(f"{name} must be {wanted}")
