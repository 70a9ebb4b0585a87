"""How much each caller has asked of each model, counted without the GIL, for all frontends."""

class RateLimiter:
    """Limits of a caller on a model, and of all together; 0: none. Threads may share it.

    `burst` 0 is one second's worth. At most `pairs` pairs of caller and model are remembered
    while they are not idle; of more, none is let in.
    """

    rate: float
    burst: int
    concurrent: int
    total: int
    under_way: int
    #: How many calls were refused without Python.
    refused: int
    def __init__(
        self, rate: float, burst: int, concurrent: int, total: int, pairs: int
    ) -> None: ...
    @property
    def pairs(self) -> int:
        """Return how many pairs are remembered."""
    def let_in(self, caller: str, model: str, now: float) -> tuple[str, float] | None:
        """Let a call in, or return which limit is reached and how many seconds to wait."""
    def let_out(self, caller: str, model: str) -> None:
        """Count a call out that was let in."""
