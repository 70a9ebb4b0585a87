"""Routes that are answered without the GIL, and the table in which a loop finds them."""

from collections.abc import Mapping, Sequence
from typing import Any

from gnomon.core.contract import Contract
from gnomon.core.packing_loop import TensorPacker
from gnomon.runtime.direct_counter import DirectCounter
from gnomon.runtime.engines.ort_session import Session

class Lane:
    """What one route needs to answer plain good requests: its own buffers, for one loop.

    `specs` has an entry an output: name, datatype, width, shape, and a category's texts; `flat`
    says of each input field whether it is no vector of several dimensions. Raises `ValueError`
    where the parts do not fit each other or need Python.
    """

    counter: DirectCounter
    row_limit: int
    def __init__(
        self,
        inputs: Contract,
        outputs: Contract,
        packers: Mapping[str, TensorPacker],
        session: Session,
        counter: DirectCounter,
        specs: Sequence[Mapping[str, Any]],
        flat: Sequence[bool],
        route: str,
        version: str,
        digest: str,
    ) -> None: ...

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
