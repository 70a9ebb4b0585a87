"""Two numeric fields, watched for a change of how they go together.

Meaning: are the fields still on the same side of their medians as often as in the reference?
A row is concordant when they do. Window and reference balance what ties there are, so that a
change of one field alone leaves the share of an independent pair unchanged and raises no alarm.

Statistic, price and guarantee are those of `FieldDetector` with the single cell "concordant"
among the rows in which both fields are present.

Reference: Blomqvist, "On a measure of dependence between two random variables" (1950), for the
medial correlation 2·share − 1.
"""

import numpy as np
from numpy.typing import NDArray

from gnomon.core.detectors.alarm import Alarm, ChangeKind
from gnomon.core.detectors.build import build_groups
from gnomon.core.detectors.grouping import Group
from gnomon.core.detectors.moments import NO_MOMENTS
from gnomon.core.detectors.tilt_detector import TiltDetector, log_threshold
from gnomon.core.detectors.tilts import TiltSet
from gnomon.core.reference import PairReference
from gnomon.core.window.reading import Moments


def build_pair_tilt_set(
    reference: PairReference, design_effect: float, tolerance: float, threshold: float
) -> TiltSet:
    """Build the tilts of a pair's share of concordant rows.

    Args:
        reference: the pair's reference.
        design_effect: effective rows of the reference are rows / design_effect.
        tolerance: χ distance below which a change does not matter, in σ.
        threshold: natural logarithm of the threshold that the evidence must reach.
    """
    return build_groups(
        np.array(reference.counts[:2], dtype=np.float64) / design_effect,
        [Group(ChangeKind.CORRELATION, reference.name, (0,), 1.0)],
        tolerance=tolerance,
        threshold=threshold,
    )


def describe_pair(now: float, before: float, where: str) -> str:
    """Say how two shares of concordant rows differ, and the medial correlations they stand for.

    >>> describe_pair(0.2, 0.8, "in the reference")
    'medial correlation -0.60, +0.60 in the reference (20.00% and 80.00% of rows on one side)'
    """
    return (
        f"medial correlation {2 * now - 1:+.2f}, {2 * before - 1:+.2f} {where} "
        f"({now:.2%} and {before:.2%} of rows on one side)"
    )


class PairDetector(TiltDetector):
    """Watches the concordance of one pair of fields.

    Args:
        reference: the pair's reference.
        windows_per_false_alarm: mean number of windows between false alarms of the budget.
        share: this detector's share of that budget, in (0, 1].
        tolerance: a change of the share p of concordant rows below `tolerance·√(p(1−p))` does not
            matter.
        design_effect: how many rows count as one; None takes the reference's.
        block_rows: as in `FieldDetector`.

    Raises:
        ValueError: when a parameter is out of its range.

    >>> import numpy as np
    >>> from gnomon.core.reference import PairReference
    >>> pair = PairDetector(
    ...     PairReference("speed", "power", (8000, 2000, 0)), windows_per_false_alarm=10_000
    ... )
    >>> pair.update(np.array([400, 100, 0])) is None
    True
    >>> pair.update(np.array([100, 400, 0])).description.partition(" (")[0]
    'speed × power: medial correlation -0.60, +0.60 in the reference'
    """

    def __init__(
        self,
        reference: PairReference,
        *,
        windows_per_false_alarm: float,
        share: float = 1.0,
        tolerance: float = 0.0,
        design_effect: float | None = None,
        block_rows: float = 0.0,
    ) -> None:
        effect = reference.design_effect if design_effect is None else design_effect
        threshold = log_threshold(windows_per_false_alarm, share, tolerance, effect)
        tilt_set = build_pair_tilt_set(reference, effect, tolerance, threshold)
        self.reference = reference
        super().__init__(reference.name, tilt_set, effect, block_rows, threshold)

    def update(self, counts: NDArray[np.int64], moments: Moments = NO_MOMENTS) -> Alarm | None:
        """Take one window; it has no moments.

        Args:
            counts: concordant, discordant and incomplete rows, int64 of shape (3,).
            moments: not used.
        """
        winner = self._kernel.update(counts[:2])
        if winner < 0:
            return None
        now, since = self._explain(winner)
        evidence = self._restart()
        before = float(self._tilt_set.shares[0])
        text = f"{self.name}: {describe_pair(now, before, 'in the reference')}"
        kind = ChangeKind.CORRELATION
        return Alarm(self.name, kind, evidence, self.threshold, since, now - before, "share", text)
