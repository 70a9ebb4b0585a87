"""Runs a model whose tensors have no axis of rows: once for each row of a call."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnomon.core.packing import Packing
from gnomon.runtime.engines.base import Engine
from gnomon.runtime.errors import EngineError

__all__ = ["WholeTensors"]


class WholeTensors:
    """An engine with an axis of rows around one without."""

    def __init__(self, engine: Engine, reference: str) -> None:
        self._engine = engine
        self._reference = reference
        self.works_in_caller = engine.works_in_caller

    def run(self, tensors: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return the output tensors by name, each with rows as the first dimension.

        Arguments and errors are those of `Engine.run`.

        Raises:
            EngineError: also if the outputs of the rows differ in shape.
        """
        rows = len(next(iter(tensors.values())))
        parts = [
            self._engine.run(
                # A row of a one-dimensional array would be a scalar, which is no array.
                {name: np.asarray(array[row], array.dtype) for name, array in tensors.items()}
            )
            for row in range(rows)
        ]
        found: dict[str, NDArray[Any]] = {}
        for name in parts[0]:
            arrays = [part[name] for part in parts]
            if len({array.shape for array in arrays}) > 1:
                raise EngineError(
                    f"{self._reference}: output {name!r} has another shape for each row; right "
                    "would be one row in a call"
                )
            found[name] = np.stack(arrays)
        return found

    def row_runner(self, packing: Packing) -> None:
        """Return None: nothing is packed."""

    def close(self) -> None:
        """Close the engine."""
        self._engine.close()
