"""A loaded model as native code sees it: what it takes and gives, and who is in it."""

from typing import Any

import numpy as np

__all__ = ["EngineSession"]

class EngineSession:
    """Base of the engines' sessions; threads may share one.

    `inputs` and `outputs` have (name, dtype, shape) each, with -1 for an open dimension; a dtype of
    None is no tensor of numbers.
    """

    inputs: tuple[tuple[str, np.dtype[Any] | None, tuple[int, ...]], ...]
    outputs: tuple[tuple[str, np.dtype[Any] | None, tuple[int, ...]], ...]
    input_count: int
    output_count: int
    def close(self) -> None:
        """Give back all that the session holds, at the latest when the calls in it have ended."""
