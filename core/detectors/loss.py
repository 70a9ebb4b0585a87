"""With labels: has the model become worse, and is a drift harmful or harmless?

Meaning: risk is the mean loss. The null hypothesis is that production's risk, given the past, is
at most the limit m: an upper confidence bound of the risk on held-out data (empirical Bernstein)
plus what is tolerated. For losses L in [0, 1] and bets λ in (0, 1/m],

    e(λ) = Π (1 + λ·(L − m))

over a window's rows has a mean of at most 1, whatever the losses' distribution and however they
depend on the past. Each λ of a grid runs a Shiryaev-Roberts statistic; their mean raises the alarm
at `windows_per_false_alarm / share`. The mirrored bet Π (1 + λ·(m − L)), λ in (0, 1/(1 − m)],
gathered since `restart`, shows the opposite: that the risk is below the limit, so a change of the
inputs was harmless.

Losses that have no bound are divided by `scale` and capped at 1; `scale` is best a high quantile
of the held-out losses, and the risk is that of the capped loss.

Guarantee: at most one false alarm in `windows_per_false_alarm` windows on average, for all but a
share `1 / windows_per_false_alarm` of held-out sets; "harmless" is wrong with a chance of at most
`level` after each restart.

References: Podkopaev and Ramdas, "Tracking the risk of a deployed model and detecting harmful
distribution shifts" (2022); Waudby-Smith and Ramdas, "Estimating means of bounded random variables
by betting" (2024); Maurer and Pontil, "Empirical Bernstein bounds" (2009), theorem 4.
"""

import math
import struct

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gnomon.core.detectors.alarm import Alarm, ChangeKind
from gnomon.core.detectors.tilt_detector import StateMismatch, log_threshold

_BETS = 0.5 ** np.arange(1, 10)  # parts of the largest bet
_STATE = struct.Struct(f"<4s{3 * len(_BETS)}d2d")
_MAGIC = b"GLD1"


def risk_bound(losses: ArrayLike, error: float) -> float:
    """Return a bound of the risk that is too low with a chance of at most `error`.

    Args:
        losses: at least two held-out losses in [0, 1].
        error: the chance, in (0, 1).
    """
    values = np.asarray(losses, dtype=np.float64)
    rows = len(values)
    if rows < 2:
        raise ValueError(f"a bound of the risk needs at least 2 losses, got {rows}")
    log_error = math.log(2 / error)
    spread = math.sqrt(2 * float(values.var(ddof=1)) * log_error / rows)
    return min(float(values.mean()) + spread + 7 * log_error / (3 * (rows - 1)), 1.0)


class LossDetector:
    """Watches the losses of labelled predictions.

    Args:
        reference: held-out losses, at least 0.
        windows_per_false_alarm: mean number of windows between false alarms of the budget.
        share: this detector's share of it.
        tolerance: how much more risk than on held-out data does not matter, in units of loss.
        scale: what a loss is divided by before it is capped at 1; 1 for losses in [0, 1].
        level: how often "harmless" may be wrong.
        name: what alarms call it.

    Raises:
        ValueError: when a parameter is out of range, or the limit is too high for any harm to
            exceed it.

    >>> import numpy as np
    >>> held_out = np.repeat([0.0, 1.0], [9000, 1000])
    >>> detector = LossDetector(held_out, windows_per_false_alarm=10_000)
    >>> detector.update(np.repeat([0.0, 1.0], [450, 50])) is None
    True
    >>> detector.update(np.repeat([0.0, 1.0], [375, 125])).kind.value
    'loss'
    """

    def __init__(
        self,
        reference: ArrayLike,
        *,
        windows_per_false_alarm: float,
        share: float = 1.0,
        tolerance: float = 0.0,
        scale: float = 1.0,
        level: float = 0.01,
        name: str = "loss",
    ) -> None:
        if not (scale > 0 and tolerance >= 0 and 0 < level < 1):
            raise ValueError("scale must be positive, tolerance at least 0, level in (0, 1)")
        self.name = name
        self.threshold = log_threshold(windows_per_false_alarm, share, 0.0, 1.0)
        self._scale = scale
        held_out = self._bounded(reference)
        bound = risk_bound(held_out, min(1 / windows_per_false_alarm, 0.5))
        self._limit = bound + tolerance / scale
        if not 0 < self._limit < 1:
            raise ValueError(
                f"{name}: the limit of the risk is {self._limit * scale:.4g} and the largest loss "
                f"{scale:.4g}; give more held-out rows, less tolerance or a larger scale"
            )
        self._risk = float(held_out.mean())
        self._level = math.log(1 / level)
        self._evidence: NDArray[np.float64] = np.zeros(len(_BETS))
        self._lead: NDArray[np.float64] = np.zeros(len(_BETS))
        self._health: NDArray[np.float64] = np.zeros(len(_BETS))
        self._age = 0.0
        self._seen = -math.inf

    @property
    def limit(self) -> float:
        """Risk above which the model counts as worse, in units of loss."""
        return self._limit * self._scale

    @property
    def evidence(self) -> float:
        """Log evidence of harm after the last window; alarms at `threshold`."""
        return self._seen

    @property
    def harmless(self) -> bool:
        """Whether it is proven since the last restart that the risk is below the limit."""
        return float(np.logaddexp.reduce(self._health)) - math.log(len(_BETS)) >= self._level

    def restart(self) -> None:
        """Restart the test whether the model is harmless, for example at an alarm of an input."""
        self._health = np.zeros(len(_BETS))

    def update(self, losses: ArrayLike) -> Alarm | None:
        """Take the losses of the rows whose labels have come in; return an alarm or None.

        Raises `ValueError` for a loss that is negative or not a number.
        """
        bounded = self._bounded(losses)
        if not len(bounded):
            return None
        bets, excess = _BETS[:, None], bounded - self._limit
        gain = np.log1p(bets * excess / self._limit).sum(axis=1)
        self._health = self._health + np.log1p(-bets * excess / (1 - self._limit)).sum(axis=1)
        fresh = not (self._lead > 0).any()
        self._lead = np.maximum(self._lead, 0.0) + gain
        self._age = 1.0 if fresh else self._age + 1.0
        self._evidence = (1 + self._evidence) * np.exp(np.minimum(gain, 500.0))
        self._seen = float(np.log(max(self._evidence.mean(), 1e-300)))
        if self._seen < self.threshold:
            return None
        return self._alarm(float(bounded.mean()))

    def _alarm(self, now: float) -> Alarm:
        text = (
            f"{self.name}: {now * self._scale:.4g} on average in this window, "
            f"{self._risk * self._scale:.4g} on held-out data, limit {self.limit:.4g}"
        )
        distance = (now - self._risk) * self._scale
        since, seen = int(self._age), self._seen
        self._evidence, self._lead = np.zeros(len(_BETS)), np.zeros(len(_BETS))
        return Alarm(
            self.name, ChangeKind.LOSS, seen, self.threshold, since, distance, "loss", text
        )

    def _bounded(self, losses: ArrayLike) -> NDArray[np.float64]:
        values = np.asarray(losses, dtype=np.float64)
        if not (values >= 0).all():
            raise ValueError(f"{self.name}: losses must be numbers of at least 0")
        return np.minimum(values / self._scale, 1.0)

    def state(self) -> bytes:
        """Return the state as bytes, from which `restore` goes on as if nothing had happened."""
        numbers = [*self._evidence, *self._lead, *self._health]
        return _STATE.pack(_MAGIC, *numbers, self._age, self._seen)

    def restore(self, data: bytes) -> None:
        """Go on from `data`; raises `StateMismatch` if it belongs to another detector."""
        if len(data) != _STATE.size or data[:4] != _MAGIC:
            raise StateMismatch(
                f"state of {self.name!r}: {len(data)} bytes beginning {data[:4]!r}, "
                f"expected {_STATE.size} beginning {_MAGIC!r}"
            )
        _, *numbers, self._age, self._seen = _STATE.unpack(data)
        rows = np.array(numbers).reshape(3, len(_BETS))
        self._evidence, self._lead, self._health = (row.copy() for row in rows)
