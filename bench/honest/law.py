"""Laws of service times with stalls, and the percentiles that follow from them.

A request waits until one of the workers is free, if their number is limited, and then takes its
service time. Nothing is worked on during a stall, which is at the end of each period.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from gnomon.runtime.errors import ConfigurationError

__all__ = ["LawKind", "ServiceLaw"]


class LawKind(StrEnum):
    """What is known of service times."""

    CONSTANT = "constant"
    EXPONENTIAL = "exponential"
    LOGNORMAL = "lognormal"


@dataclass(frozen=True)
class ServiceLaw:
    """A law: times in seconds.

    `scale` is the constant, the mean of the exponential law, or the median of the lognormal one,
    whose logarithm has the standard deviation `sigma`. `workers` is 0 if all requests are worked on
    at the same time.

    Raises:
        ConfigurationError: a number is out of range.
    """

    kind: LawKind = LawKind.CONSTANT
    scale: float = 0.002
    sigma: float = 0.5
    stall: float = 0.0
    period: float = 5.0
    workers: int = 0
    seed: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.scale <= 3_600:
            raise ConfigurationError(f"the service time {self.scale} s is not from 0 to 3600 s")
        if not 0 <= self.sigma <= 5:
            raise ConfigurationError(f"sigma {self.sigma} is not from 0 to 5")
        if not 0 < self.period <= 86_400:
            raise ConfigurationError(f"the period {self.period} s is not above 0, at most a day")
        if not 0 <= self.stall < self.period:
            raise ConfigurationError(
                f"a stall of {self.stall} s does not fit into a period of {self.period} s"
            )
        if not 0 <= self.workers <= 100_000:
            raise ConfigurationError(f"{self.workers} workers are not from 0 to 100000")

    @property
    def mean(self) -> float:
        """Return the mean service time in seconds."""
        is_lognormal = self.kind is LawKind.LOGNORMAL
        return self.scale * math.exp(self.sigma**2 / 2) if is_lognormal else self.scale

    def as_numbers(self) -> dict[str, float]:
        """Return the law as the compiled server takes it: times in ns."""
        return {
            "kind": list(LawKind).index(self.kind),
            "scale": self.scale * 1e9,
            "sigma": self.sigma,
            "period": round(self.period * 1e9),
            "stall": round(self.stall * 1e9),
            "workers": self.workers,
            "seed": self.seed,
        }

    def distribution(self, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the share of service times up to each of `seconds`, an array of any shape."""
        if self.kind is LawKind.CONSTANT or not self.scale:
            return (seconds >= self.scale - 1e-12).astype(np.float64)
        positive = np.maximum(seconds, 1e-300) / self.scale
        if self.kind is LawKind.EXPONENTIAL:
            return -np.expm1(-np.maximum(seconds, 0) / self.scale)
        if not self.sigma:
            return (positive >= 1 - 1e-12).astype(np.float64)
        scaled = np.log(positive) / (self.sigma * math.sqrt(2))
        return np.asarray(0.5 + 0.5 * np.vectorize(math.erf)(scaled), dtype=np.float64)

    def service_times(self, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Return random service times in seconds, (count,) of float64."""
        if self.kind is LawKind.CONSTANT:
            return np.full(count, self.scale)
        if self.kind is LawKind.EXPONENTIAL:
            return rng.exponential(self.scale, count)
        return self.scale * rng.lognormal(0.0, self.sigma, count)

    def working(self, elapsed: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the seconds without stalls among the first `elapsed`, an array of any shape."""
        busy = self.period - self.stall
        return np.floor(elapsed / self.period) * busy + np.minimum(elapsed % self.period, busy)

    def elapsed(self, working: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the inverse of `working`, of its shape; after any stall that follows."""
        busy = self.period - self.stall
        return np.floor(working / busy) * self.period + working % busy
