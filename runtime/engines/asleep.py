"""The engine of a model that sleeps: every call raises `EngineClosed`."""

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from gnomon.core.packing import Packing
from gnomon.runtime.engines.base import Engine, EngineClosed


class _SleepingEngine:
    works_in_caller = True

    def run(self, tensors: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        raise EngineClosed("the model sleeps")

    def row_runner(self, packing: Packing) -> None:
        return None

    def close(self) -> None:
        pass


ASLEEP: Engine = _SleepingEngine()
