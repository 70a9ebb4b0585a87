"""The loops of the load generator and of the honest server."""

import socket
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

#: Cells of a histogram, kinds of outcome, and statuses that are counted.
CELLS: int
OUTCOMES: int
STATUSES: int

def missing_library() -> str | None:
    """Return what keeps the loops from running here, or None."""

def cell_of(nanoseconds: int) -> int:
    """Return the cell of the histogram that counts a value."""

def working_elapsed(given: Mapping[str, float], nanoseconds: int) -> tuple[int, int]:
    """Return the working time by then, and when so much work is done."""

class HonestLoop:
    """A server of one loop that answers by a law; `answers` are tried in their order.

    The listener becomes the loop's. An answer is its path, its body, whether it is gRPC's, and
    whether it comes by the law; the last is for any path.

    Raises:
        OSError: libnghttp2 is missing.
        ValueError: an answer is too long.
    """

    def __init__(
        self,
        listener: socket.socket,
        law: Mapping[str, float],
        answers: Sequence[tuple[bytes, bytes, bool, bool]],
    ) -> None: ...
    def run(self) -> None:
        """Serve in this thread, without the interpreter's lock, until `stop`; once."""

    def stop(self) -> None:
        """End `run`, from any thread."""

    @property
    def answered(self) -> int:
        """Return how many requests were answered."""

    @property
    def lateness(self) -> bytes:
        """Return counts (uint64) by cell: how long after it was due an answer was sent."""

class LoadLoop:
    """A load generator of one loop; `dues` are ns from the start, None for a closed loop.

    Rows are a request and the answer that is expected, None if it is not compared.

    Raises:
        OSError: libnghttp2 is missing.
        ValueError: the address, the headers or the rows cannot be used.
    """

    def __init__(
        self,
        settings: Mapping[str, object],
        headers: Sequence[tuple[bytes, bytes]],
        rows: Sequence[tuple[bytes, bytes | None]],
        dues: NDArray[np.uint64] | None = None,
    ) -> None: ...
    def run(self) -> None:
        """Send in this thread, without the interpreter's lock, until all is answered; once."""

    def stop(self) -> None:
        """End `run` soon, from any thread."""

    @property
    def counts(self) -> dict[str, int]:
        """Return what was counted beside requests, by name."""

    @property
    def outcomes(self) -> list[int]:
        """Return how many requests ended in each kind of outcome."""

    @property
    def statuses(self) -> dict[int, int]:
        """Return how many answers had each status: gRPC's, or HTTP's."""

    def histogram(self, name: str) -> bytes:
        """Return counts (uint64) by cell: `latency`, `service` or `lateness`."""

    @property
    def slots(self) -> bytes:
        """Return by slot of time: outcomes (uint64), then counts of latency (uint32)."""

    @property
    def log(self) -> bytes:
        """Return one record for each request, as many as there was room for."""

    @property
    def kept(self) -> list[tuple[int, bytes]]:
        """Return rows and bodies of the first answers that were not as expected."""
