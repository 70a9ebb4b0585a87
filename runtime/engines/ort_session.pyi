"""A session of ONNX Runtime through its C interface, run without the GIL."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Session"]

class Session:
    """One loaded model; threads may share it.

    `inputs` and `outputs` have (name, dtype, shape) each, with -1 for an open dimension; a dtype of
    None is no tensor of numbers; `gives` describes all outputs, asked for or not. Raises
    `SessionError` if the model cannot be loaded or has no such output.
    """

    inputs: tuple[tuple[str, np.dtype[Any] | None, tuple[int, ...]], ...]
    outputs: tuple[tuple[str, np.dtype[Any] | None, tuple[int, ...]], ...]
    gives: tuple[tuple[str, np.dtype[Any] | None, tuple[int, ...]], ...]
    input_count: int
    output_count: int
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

    def close(self) -> None:
        """Give back all that the session holds, at the latest when the calls in it have ended."""
