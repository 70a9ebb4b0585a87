"""Requests that were answered without the GIL and that shadows receive too, on a Python thread."""

class NativeShadowQueue:
    """Copies of requests: at most 1,000 and 8 MiB; what is more is dropped and counted."""

    @property
    def dropped(self) -> int:
        """Return how many a full queue has dropped."""
    def take(self) -> tuple[str, bytes, float] | None:
        """Wait for a request: identity, message, epoch seconds; None once it is closed."""
    def close(self) -> None:
        """Take and give nothing more."""
