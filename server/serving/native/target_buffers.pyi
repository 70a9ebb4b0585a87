"""The memory of a native target: rows, tensors, and the engine's values over them."""

from collections.abc import Mapping, Sequence
from typing import Any

from gnomon.core.contract import Contract
from gnomon.core.packing.loop import TensorPacker
from gnomon.runtime.engines.engine_session import EngineSession
from gnomon.runtime.recording.direct_counter import DirectCounter

class TargetBuffers:
    """Buffers of one loop for a model's rows, and what its answers are written from.

    `specs` has an entry an output: name, datatype, width, shape, and a category's texts; `flat`
    says of each input field whether it is no vector of several dimensions. Raises `ValueError`
    if the parts do not fit each other or need Python.
    """

    counter: DirectCounter
    #: How many rows a request may have.
    row_limit: int
    def __init__(
        self,
        inputs: Contract,
        outputs: Contract,
        packers: Mapping[str, TensorPacker],
        session: EngineSession,
        counter: DirectCounter,
        specs: Sequence[Mapping[str, Any]],
        flat: Sequence[bool],
        route: str,
        version: str,
        digest: str,
    ) -> None: ...
