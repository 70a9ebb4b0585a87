"""What became of each client's requests, counted from any thread without a lock."""

#: So many clients are told apart; the first stands for all who have no place of their own.
LIMIT: int
#: By their numbers.
OUTCOME_NAMES: tuple[str, ...]

class ClientCounts:
    """Counts by client and outcome, of one version on one route."""

    def add(self, client: int, outcome: int) -> None:
        """Count one request; raises `IndexError` where there is no such client or outcome."""
    def read(self) -> list[tuple[int, int, int]]:
        """Return client, outcome and count of each that is not 0."""
