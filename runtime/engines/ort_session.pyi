"""A session of ONNX Runtime through its C interface, run without the GIL."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnomon.runtime.engines.engine_session import EngineSession

__all__ = ["Session"]

class Session(EngineSession):
    """One loaded model; threads may share it.

    `gives` describes all outputs, asked for or not. Raises `SessionError` if the model cannot be
    loaded or has no such output.
    """

    gives: tuple[tuple[str, np.dtype[Any] | None, tuple[int, ...]], ...]
    def __init__(
        self,
        model: bytes,
        outputs: Sequence[str],
        entries: Sequence[tuple[str, str]] = (),
        threads: int = 1,
    ) -> None: ...
    def run(self, tensors: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return the outputs by name.

        Raises `SessionError` for a tensor that is missing or of a wrong element type or shape,
        `ValueError` for an array that is not contiguous, `SessionClosed` after `close`.
        """
