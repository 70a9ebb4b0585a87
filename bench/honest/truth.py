"""The percentiles that a law of service times has, at a rate and a pattern of arrivals.

Without a limit of workers they are computed: requests do not influence each other, and a request
arrives at every moment of a period with the same probability. With workers that requests wait for
they are simulated, because there is no formula for most laws.
"""

import heapq
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gnomon.bench.generator.arrivals import Arrivals, due_times
from gnomon.bench.honest.law import ServiceLaw
from gnomon.runtime.errors import ConfigurationError

__all__ = ["true_percentiles"]

#: Moments of a period for which the distribution is computed.
PHASES = 20_000
#: Requests that are simulated.
SIMULATED = 400_000
#: Seconds that no percentile exceeds.
LONGEST = 1e6


def true_percentiles(
    law: ServiceLaw,
    percents: Sequence[float],
    rate: float,
    arrivals: Arrivals = Arrivals.CONSTANT,
) -> tuple[float, ...]:
    """Return the percentiles of the latency, in seconds, of an open loop that has run for long.

    Args:
        law: of the server.
        percents: which percentiles, above 0 and below 100.
        rate: requests a second.
        arrivals: pattern of the requests.

    Raises:
        ConfigurationError: the workers cannot keep up with the rate, so there is no steady state.
    """
    if law.workers:
        return tuple(np.percentile(_simulated(law, rate, arrivals), percents).tolist())
    return tuple(_quantile(law, percent / 100) for percent in percents)


def _quantile(law: ServiceLaw, share: float) -> float:
    count = PHASES if law.stall else 1
    phases = np.array((np.arange(count) + 0.5) * (law.period / count), dtype=np.float64)
    worked = law.working(phases)
    low, high = 0.0, 1e-6
    while _share_within(law, phases, worked, high) < share and high < LONGEST:
        low, high = high, 2 * high
    while high - low > 1e-7 * high:
        middle = (low + high) / 2
        if _share_within(law, phases, worked, middle) < share:
            low = middle
        else:
            high = middle
    return high


def _share_within(
    law: ServiceLaw, phases: NDArray[np.float64], worked: NDArray[np.float64], seconds: float
) -> float:
    done = law.working(phases + seconds) - worked
    # What needs no work still waits for the end of a stall.
    is_stalled = (done <= 1e-12) & (law.stall > 0)
    return float(np.mean(np.where(is_stalled, 0.0, law.distribution(done))))


def _simulated(law: ServiceLaw, rate: float, arrivals: Arrivals) -> NDArray[np.float64]:
    """Return latencies in seconds, (count,) of float64, after the first tenth."""
    capacity = law.workers * (1 - law.stall / law.period)
    if rate * law.mean >= capacity:
        raise ConfigurationError(
            f"{rate:g} requests a second of {law.mean:g} s each are more than {law.workers} "
            "workers can answer: latency would grow without end"
        )
    rng = np.random.default_rng(law.seed)
    due = due_times(arrivals, rate, SIMULATED / rate, rng) / 1e9
    begin = law.working(due).tolist()
    service = law.service_times(len(due), rng).tolist()
    free_at = [0.0] * law.workers
    done = np.empty(len(due))
    for index, (arrival, seconds) in enumerate(zip(begin, service, strict=True)):
        end = max(arrival, free_at[0]) + seconds
        heapq.heapreplace(free_at, end)
        done[index] = end
    return (law.elapsed(done) - due)[len(due) // 10 :]
