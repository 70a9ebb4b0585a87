"""What a load test is: how requests come, for how long, and what is promised."""

from dataclasses import dataclass

from gnomon.bench.generator.arrivals import Arrivals
from gnomon.runtime.errors import ConfigurationError

__all__ = ["LoadSettings"]

#: Streams of a connection in an open loop, for which there is no reason to limit them.
OPEN_STREAMS = 100


@dataclass(frozen=True)
class LoadSettings:
    """A load: times in seconds, `rate` in requests a second; without a rate the loop is closed.

    Raises:
        ConfigurationError: a number is out of range.
    """

    rate: float | None = None
    arrivals: Arrivals = Arrivals.CONSTANT
    burstiness: float = 1.0
    connections: int = 1
    #: Requests at the same time on each connection; 0: 1 in a closed loop, 100 in an open one.
    streams: int = 0
    threads: int = 1
    seconds: float = 5.0
    warm_up: float = 1.0
    timeout: float = 10.0
    #: Runs that must agree, and the most that are tried.
    repeats: int = 3
    most_repeats: int = 6
    #: The percentile that is promised, and in ms its bound.
    percentile: float = 99.0
    bound_ms: float | None = None
    #: The greatest share of requests that may fail.
    most_errors: float = 0.0
    #: By how much of their median the runs may differ.
    stability: float = 0.1
    #: µs by which requests may be sent late, whatever the percentile is.
    lateness_floor_us: float = 20.0
    seed: int = 1

    def __post_init__(self) -> None:
        for name, low, high in (
            ("connections", 1, 10_000),
            ("streams", 0, 10_000),
            ("threads", 1, 256),
            ("seconds", 0.01, 86_400),
            ("warm_up", 0, 3_600),
            ("timeout", 0.001, 600),
            ("repeats", 1, 100),
            ("most_repeats", self.repeats, 1_000),
            ("percentile", 1, 99.9999),
            ("most_errors", 0, 1),
            ("stability", 0, 10),
            ("lateness_floor_us", 0, 1e6),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigurationError(f"{name} is {value:g}; it should be {low:g} to {high:g}")
        if self.rate is not None and not 0.001 <= self.rate <= 10_000_000:
            raise ConfigurationError(f"a rate of {self.rate:g} is not from 0.001 to 10000000")
        if self.bound_ms is not None and not self.bound_ms > 0:
            raise ConfigurationError(f"a bound of {self.bound_ms:g} ms is not above 0")
        if self.threads > self.connections:
            raise ConfigurationError(
                f"{self.threads} threads need a connection each; there are {self.connections}"
            )

    @property
    def is_open(self) -> bool:
        """Whether requests come at times of their own, whether answers come or not."""
        return self.rate is not None

    @property
    def used_streams(self) -> int:
        """Return the requests at the same time on each connection."""
        return self.streams or (OPEN_STREAMS if self.is_open else 1)
