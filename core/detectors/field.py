"""One field, watched window after window with a stated rate of false alarms.

Meaning: has this field left its reference, and how? For each tilt θ of a set (location,
scale, unit, single cells, missing, …) a window with counts c gives the evidence

    log e(θ) = θ·c/d − price(θ, n/d)

where d is the design effect (how many rows count as one, because rows of a block resemble each
other) and the price makes the mean of e(θ) at most 1 for every distribution within the tolerance
of the reference, the reference's own error included (`gnomon.core.detectors.tilts`). Over time
each tilt runs a Shiryaev-Roberts statistic, M ← (1 + M)·e, and the alarm is raised when the
weighted mean of M over the set reaches `windows_per_false_alarm / share`; then it restarts.

Guarantee: without a change, M less the number of windows is a supermartingale, so the mean number
of windows to a false alarm is at least the threshold, however long one watches. It holds on
average over references of this size, not for each of them.

Reference: Shin, Ramdas and Rinaldo, "E-detectors: a nonparametric framework for sequential change
detection" (2022).
"""

import numpy as np
from numpy.typing import NDArray

from gnomon.core.detectors.alarm import Alarm, ChangeKind
from gnomon.core.detectors.build import build_tilt_set
from gnomon.core.detectors.describe import describe, describe_unit
from gnomon.core.detectors.moments import NO_MOMENTS, MomentCheck, check_window, moments_of
from gnomon.core.detectors.tilt_detector import TiltDetector, log_threshold
from gnomon.core.detectors.unit_fit import fit_unit
from gnomon.core.reference import FieldReference
from gnomon.core.window.reading import Moments


class FieldDetector(TiltDetector):
    """Watches the cell counts of one field.

    Args:
        reference: the field's reference.
        windows_per_false_alarm: the mean number of windows between false alarms that the whole
            budget allows.
        share: this detector's share of that budget, in (0, 1].
        tolerance: a change below it does not matter: a shift of the location by this many σ of
            normal scores, or of a cell's share p by this many √(p(1−p)).
        design_effect: how many rows count as one; None takes the reference's.
        block_rows: rows of the blocks on which the design effect was measured. A window of fewer
            rows has a smaller design effect, `1 + (n − 1)(d − 1)/(block_rows − 1)`; if 0, the
            design effect is taken as it is.

    Raises:
        ValueError: when a parameter is out of its range.

    >>> import numpy as np
    >>> from gnomon.core.reference import FieldReference
    >>> colour = FieldReference(
    ...     "colour", "category", categories=("red", "blue"), counts=(5000, 5000, 0, 0, 0)
    ... )
    >>> detector = FieldDetector(colour, windows_per_false_alarm=10_000)
    >>> detector.update(np.array([250, 250, 0, 0, 0])) is None
    True
    >>> alarm = detector.update(np.array([350, 150, 0, 0, 0]))
    >>> alarm.kind.value, alarm.since, round(alarm.distance, 1)
    ('cell', 1, 0.2)
    """

    def __init__(
        self,
        reference: FieldReference,
        *,
        windows_per_false_alarm: float,
        share: float = 1.0,
        tolerance: float = 0.0,
        design_effect: float | None = None,
        block_rows: float = 0.0,
    ) -> None:
        effect = reference.design_effect if design_effect is None else design_effect
        threshold = log_threshold(windows_per_false_alarm, share, tolerance, effect)
        self.reference = reference
        tilt_set = build_tilt_set(
            reference, tolerance=tolerance, design_effect=effect, threshold=threshold
        )
        super().__init__(reference.name, tilt_set, effect, block_rows, threshold)

    def update(self, counts: NDArray[np.int64], moments: Moments = NO_MOMENTS) -> Alarm | None:
        """Take the counts of one window, in the layout of the reference; return an alarm or None.

        Args:
            counts: int64 of shape (cells,).
            moments: of the window's present values; an alarm names only a cause that agrees with
                them.

        Raises:
            ValueError: the number of cells is wrong.
        """
        winner = self._kernel.update(counts)
        return None if winner < 0 else self._alarm(winner, counts, moments)

    def _alarm(self, winner: int, counts: NDArray[np.int64], moments: Moments) -> Alarm:
        kind = self._tilt_set.tilts[winner].kind
        shares, window = self._tilt_set.shares, counts.astype(np.float64)
        check = check_window(moments_of(self.reference), moments, self.reference, window)
        change = fit_unit(self.reference, kind, shares, window, check)
        if change is None:
            winner, cause = self._find_cause(winner, check)
            kind = self._tilt_set.tilts[winner].kind
        else:
            kind, cause = ChangeKind.UNIT, describe_unit(self.name, change)
        _, since = self._explain(winner)
        evidence = self._restart()
        return Alarm(self.name, kind, evidence, self.threshold, since, *cause)

    def _find_cause(self, winner: int, check: MomentCheck) -> tuple[int, tuple[float, str, str]]:
        """Return the best tilt that is no unit and agrees with the moments, and its description.

        Shares of cells are counts, which no moments contradict: so there always is one.
        """
        refused = {ChangeKind.UNIT}
        while True:
            kind = self._tilt_set.tilts[winner].kind
            if kind not in refused:
                score, _ = self._explain(winner)
                cause = describe(self.reference, self._tilt_set, winner, score)
                if check.allows(kind, cause[0]):
                    return winner, cause
                refused.add(kind)
            winner = self._best(refused)
