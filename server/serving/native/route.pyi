"""A route that is answered without the GIL: its targets, and what decides between them."""

from collections.abc import Sequence

from gnomon.server.serving.admission.client_counts import ClientCounts
from gnomon.server.serving.native.target import NativeTarget

class NativeRoute:
    """Targets in the route's order: target, weight in 1,000, and where its clients are counted.

    `turned_away` counts what admission refuses; `shadow_share` is the largest share of any shadow.
    Raises `ValueError` if the weights do not add up to 1,000.
    """

    def __init__(
        self,
        name: str,
        targets: Sequence[tuple[NativeTarget, int, ClientCounts]],
        turned_away: ClientCounts,
        shadow_share: int,
    ) -> None: ...
    def choose(self, key: str) -> int:
        """Return the place of the target that a key sticks to; for tests."""
    def is_shadowed(self, identity: str) -> bool:
        """Return whether a request is of the share that shadows receive; for tests."""
