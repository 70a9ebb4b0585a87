"""Instances of an engine: as many calls side by side as there are, the others wait."""

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gnomon.runtime.engines import EngineClosed
from gnomon.runtime.engines.onnx import NativeOnnxEngine
from gnomon.runtime.engines.pool import EnginePool, load_instances
from gnomon.runtime.packages.package import Package

TENSORS: dict[str, NDArray[Any]] = {"x": np.zeros((1, 1))}


class OneAtATime:
    """An engine that fails where two calls meet in it, and waits for another engine's call."""

    works_in_caller = False

    def __init__(self, meeting: threading.Barrier) -> None:
        self._meeting = meeting
        self._busy = threading.Lock()
        self._is_closed = False

    def run(self, tensors: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        if self._is_closed:
            raise EngineClosed("closed")
        assert self._busy.acquire(blocking=False)
        try:
            self._meeting.wait(30)
            return dict(tensors)
        finally:
            self._busy.release()

    def row_runner(self, packing: Any) -> None:
        return None

    def close(self) -> None:
        self._is_closed = True


def test_calls_run_side_by_side_and_never_meet_in_one_instance() -> None:
    # Calls get past the meeting in twos only, so both instances are under way each time.
    meeting = threading.Barrier(2)
    pool = EnginePool([OneAtATime(meeting), OneAtATime(meeting)])
    with ThreadPoolExecutor(8) as threads:
        assert len(list(threads.map(pool.run, [TENSORS] * 20))) == 20
    pool.close()
    with pytest.raises(EngineClosed):
        pool.run(TENSORS)


def test_an_engine_that_can_be_shared_is_loaded_once(package: Package) -> None:
    engine = load_instances(package.read_model(), package.manifest, 3)
    assert isinstance(engine, NativeOnnxEngine)
    engine.close()
