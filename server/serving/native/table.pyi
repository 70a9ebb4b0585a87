"""The table in which a loop finds the lane of a request."""

from collections.abc import Mapping

from gnomon.server.serving.native.lane import Lane

class Table:
    """The lanes by route. A lane that usually runs longer than `slow_seconds` declines."""

    def __init__(self, slow_seconds: float) -> None: ...
    def publish(self, lanes: Mapping[str, Lane]) -> None:
        """Replace all lanes at once; when it returns, no call is on the old ones."""
    @property
    def reasons(self) -> Mapping[str, int]:
        """Return how many requests were taken, and how many declined for which reason."""
    @property
    def stages(self) -> Mapping[str, float]:
        """Return how long the stages of a request take on average, in ns; one of 61 is timed."""
    def try_message(self, message: bytes) -> bytes | None:
        """Return what a request's message is answered with, None if it is declined; for tests."""
