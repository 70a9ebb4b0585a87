"""When requests of an open loop are due: patterns of arrivals, as times from the start."""

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from gnomon.runtime.errors import ConfigurationError

__all__ = ["MOST_REQUESTS", "Arrivals", "due_times"]

#: Requests of one run, 8 bytes each.
MOST_REQUESTS = 200_000_000


class Arrivals(StrEnum):
    """How the gaps between requests vary."""

    #: All gaps are equal.
    CONSTANT = "constant"
    #: Gaps have the exponential law: requests come independently of each other.
    POISSON = "poisson"
    #: Gaps have a gamma law: with a burstiness above 1 requests come in bursts.
    GAMMA = "gamma"


def due_times(
    arrivals: Arrivals,
    rate: float,
    seconds: float,
    rng: np.random.Generator,
    burstiness: float = 1.0,
) -> NDArray[np.uint64]:
    """Return the due times in ns from the start, ascending, (count,) of uint64.

    Args:
        arrivals: the pattern.
        rate: requests a second, on average.
        seconds: how long; all times are below.
        rng: for patterns that are random.
        burstiness: of `Arrivals.GAMMA`: the squared coefficient of variation of the gaps.

    Raises:
        ConfigurationError: there would be no request, or too many.
    """
    count = rate * seconds
    if not 1 <= count <= MOST_REQUESTS:
        raise ConfigurationError(
            f"{rate:g} requests a second for {seconds:g} s are {count:g} requests; "
            f"a run has from 1 to {MOST_REQUESTS}"
        )
    if arrivals is Arrivals.CONSTANT:
        return np.round(np.arange(round(count)) * (1e9 / rate)).astype(np.uint64)
    if not 1e-3 <= burstiness <= 1e3:
        raise ConfigurationError(f"the burstiness {burstiness:g} is not from 0.001 to 1000")
    shape = 1.0 if arrivals is Arrivals.POISSON else 1 / burstiness
    more = int(count + 10 * np.sqrt(count * max(burstiness, 1)) + 10)
    times = np.cumsum(rng.gamma(shape, 1 / (rate * shape), more))
    return np.round(times[times < seconds] * 1e9).astype(np.uint64)
