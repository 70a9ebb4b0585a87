"""Several instances of an engine that runs one call at a time, so that calls run concurrently."""

import queue
from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from gnomon.core.packing import Packing
from gnomon.runtime.engines.base import Engine, load_engine
from gnomon.runtime.packages.manifest import Manifest

#: Formats of which one engine takes any number of calls at once; more of them would gain nothing.
_SHARED = frozenset({"onnx", "tflite", "trees"})


def load_instances(model: bytes, manifest: Manifest, count: int) -> Engine:
    """Load `count` instances of a model; one if its engine takes concurrent calls anyway.

    Raises:
        EngineError: as `load_engine`; what was loaded until then is closed.
    """
    if count == 1 or manifest.format in _SHARED:
        return load_engine(manifest.format, model, manifest)
    engines: list[Engine] = []
    try:
        for _ in range(count):
            engines.append(load_engine(manifest.format, model, manifest))
    except BaseException:
        for engine in engines:
            engine.close()
        raise
    return EnginePool(engines)


class EnginePool:
    """Engines of one model; each call takes one that is idle, or waits for it."""

    works_in_caller = False

    def __init__(self, engines: Sequence[Engine]) -> None:
        self._engines = tuple(engines)
        self._idle: queue.SimpleQueue[Engine] = queue.SimpleQueue()
        for engine in engines:
            self._idle.put(engine)

    def run(self, tensors: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return the output tensors by name, each with rows as the first dimension.

        Arguments and errors are those of `Engine.run`.
        """
        engine = self._idle.get()
        try:
            return engine.run(tensors)
        finally:
            self._idle.put(engine)

    def row_runner(self, packing: Packing) -> None:
        """Return None: a runner would keep to one engine."""

    def close(self) -> None:
        """Close all engines; a call in progress ends as its engine ends it."""
        for engine in self._engines:
            engine.close()
