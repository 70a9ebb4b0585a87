"""Counts what a native frontend answers, without the GIL; a `WindowSeries` collects it."""

from collections.abc import Callable

from gnomon.core.window import Window

class DirectCounter:
    """One open window of the present interval, and samples, of one series.

    `make_window` makes windows of the series, `length` is that of an interval in seconds,
    `permille` the share of requests that are sampled.
    """

    def __init__(self, make_window: Callable[[], Window], length: int, permille: int) -> None: ...
    def arm(self, moment: float) -> None:
        """Count from now on in the interval of a moment (epoch seconds); the one before ends."""
    def take_windows(self) -> list[tuple[int, Window]]:
        """Return what was counted since the last time: starts of intervals and windows."""
    def peek_windows(self) -> list[Window]:
        """Return copies of what `take_windows` would return."""
    def take_samples(
        self, *, partial: bool
    ) -> tuple[list[tuple[list[str], list[float], list[float]]], int]:
        """Return full blocks of (request ids, moments, values), and how many rows were dropped.

        With `partial`, the block that is not full yet too.
        """
    @property
    def since(self) -> float | None:
        """Return the `time.monotonic()` of the oldest count; 0: an interval ended; None: empty."""
