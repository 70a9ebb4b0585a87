"""Rate and concurrency limits, counted without the GIL, for all frontends."""

class RateLimiter:
    """Limits of a caller on a model, and of all together; 0: none. Threads may share it.

    `burst` 0 is the requests of one second. At most `pairs` pairs of caller and model are kept
    while they are not idle; calls of more pairs are rejected.
    """

    rate: float
    burst: int
    concurrent: int
    total: int
    under_way: int
    #: How many calls were rejected without Python.
    refused: int
    def __init__(
        self, rate: float, burst: int, concurrent: int, total: int, pairs: int
    ) -> None: ...
    @property
    def pairs(self) -> int:
        """Return how many pairs are kept."""
    def let_in(self, caller: str, model: str, now: float) -> tuple[str, float] | None:
        """Admit a call, or return which limit is reached and how many seconds to wait."""
    def let_out(self, caller: str, model: str) -> None:
        """Count the end of an admitted call."""
