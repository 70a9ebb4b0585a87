"""Request counts by client and outcome, updated from any thread without a lock."""

#: Number of client labels; the first one is shared by all clients without their own.
LIMIT: int
#: Names of the outcomes, by number.
OUTCOME_NAMES: tuple[str, ...]

class ClientCounts:
    """Counts by client and outcome, of one version on one route."""

    def add(self, client: int, outcome: int) -> None:
        """Count one request; raises `IndexError` if client or outcome is unknown."""
    def read(self) -> list[tuple[int, int, int]]:
        """Return client, outcome and count of each that is not 0."""
