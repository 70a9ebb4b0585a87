"""Without labels: how well a classifier probably does, from its calibrated confidence.

Meaning: on held-out data, of the rows in each cell of the confidence, a share was right. If that
share still holds for each cell, a window's accuracy is the mean of these shares over its rows.

    accuracy = Σ n_k·a_k / n,   a_k = (right_k + ½) / (rows_k + 1)

Its standard error adds the error of each a_k and the chance of the window's own rows. It sees
that the model meets harder inputs; it cannot see that the same inputs now mean something else:
for that there is `LossDetector`.

Reference: Guillory et al., "Predicting with confidence on unseen distributions" (2021); the
estimate by calibrated bins follows Zadrozny and Elkan, "Obtaining calibrated probability
estimates" (2001).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, slots=True)
class EstimatedAccuracy:
    """An estimate with its standard error, and the range of about 95 % around it."""

    accuracy: float
    error: float

    @property
    def low(self) -> float:
        """Lower end of the range."""
        return max(self.accuracy - 1.96 * self.error, 0.0)

    @property
    def high(self) -> float:
        """Upper end of the range."""
        return min(self.accuracy + 1.96 * self.error, 1.0)


class ConfidenceCalibration:
    """Accuracy by cell of the confidence, learnt on held-out data.

    Args:
        rows: held-out rows in each cell of the confidence's field.
        right: how many of them were predicted right.

    Raises:
        ValueError: when the two do not fit together.

    >>> import numpy as np
    >>> calibration = ConfidenceCalibration(rows=[1000, 1000], right=[600, 950])
    >>> estimate = calibration.estimate(np.array([400, 100]))
    >>> round(estimate.accuracy, 2), round(estimate.error, 3)
    (0.67, 0.024)
    """

    def __init__(self, rows: ArrayLike, right: ArrayLike) -> None:
        total = np.asarray(rows, dtype=np.float64)
        correct = np.asarray(right, dtype=np.float64)
        if total.shape != correct.shape or total.ndim != 1:
            raise ValueError(
                f"rows {total.shape} and right {correct.shape} must be equal in length"
            )
        if not ((correct >= 0) & (correct <= total)).all():
            raise ValueError("each cell must have at least 0 and at most all rows right")
        self._share: NDArray[np.float64] = (correct + 0.5) / (total + 1)
        self._variance = self._share * (1 - self._share) / (total + 2)

    def estimate(self, counts: ArrayLike) -> EstimatedAccuracy:
        """Estimate the accuracy of a window from its cell counts; raises `ValueError` if empty."""
        cells = np.asarray(counts, dtype=np.float64)
        if cells.shape != self._share.shape or cells.sum() <= 0:
            raise ValueError(f"counts must be of {len(self._share)} cells, with at least one row")
        share = cells / cells.sum()
        own = share @ (self._share * (1 - self._share)) / cells.sum()
        error = float(np.sqrt(share**2 @ self._variance + own))
        return EstimatedAccuracy(float(share @ self._share), error)
