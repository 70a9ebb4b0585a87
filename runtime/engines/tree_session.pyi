"""A model of trees, run for native code, for columns, and for one row in fixed buffers."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnomon.core.packing.loop import TensorPacker
from gnomon.core.row import Row
from gnomon.core.trees import TreeModel
from gnomon.runtime.engines.engine_session import EngineSession

__all__ = ["TreeRowRunner", "TreeSession"]

class TreeSession(EngineSession):
    """One model of trees in service; threads may share it.

    `gives` describes all outputs, asked for or not: `prediction`, and `raw_score` if the model has
    a link function. Raises `SessionError` if the model has no such output.
    """

    gives: tuple[tuple[str, np.dtype[Any], tuple[int, ...]], ...]
    def __init__(self, model: TreeModel, outputs: Sequence[str]) -> None: ...
    def run(self, tensors: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return the outputs by name, each of shape `(rows, width)`.

        Raises `SessionError` for a tensor that is missing or of a wrong type or shape, `ValueError`
        for an array that is not contiguous, `SessionClosed` after `close`.
        """

class TreeRowRunner:
    """Runs one row in buffers of its own, for one thread at a time.

    `packers` are by the inputs' names. Raises `SessionError` if they do not give what the model
    takes.
    """

    def __init__(self, session: TreeSession, packers: Mapping[str, TensorPacker]) -> None: ...
    def run(self, row: Row) -> list[Any]:
        """Return each output, in the session's order: a number, or an array of one row.

        Raises `SessionError` for a row of another contract, `SessionClosed` after `close`.
        """
