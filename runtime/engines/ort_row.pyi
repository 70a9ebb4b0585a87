"""One row at a time through a session: packed, run without the GIL and read in fixed buffers."""

from collections.abc import Mapping
from typing import Any

from gnomon.core.packing.loop import TensorPacker
from gnomon.core.row import Row
from gnomon.runtime.engines.ort_session import Session

__all__ = ["OrtRowRunner"]

class OrtRowRunner:
    """For one thread at a time; `packers` are by the names of the session's inputs.

    Raises `SessionError` if the packing does not give the session's inputs, or the size of an
    output is only known after a run.
    """

    def __init__(self, session: Session, packers: Mapping[str, TensorPacker]) -> None: ...
    def run(self, row: Row) -> list[Any]:
        """Return each output in the session's order: a float, or an array with one row.

        Raises `SessionError` if the model fails and `SessionClosed` after `Session.close`.
        """
