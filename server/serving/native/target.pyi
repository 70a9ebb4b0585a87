"""What answers along a route without the GIL: one model with its contracts, for one loop."""

from collections.abc import Mapping, Sequence
from typing import Any

from gnomon.core.contract import Contract
from gnomon.core.packing.loop import TensorPacker
from gnomon.runtime.engines.ort_session import Session
from gnomon.runtime.recording.direct_counter import DirectCounter

class NativeTarget:
    """What one route needs to answer plain good requests: its own buffers, for one loop.

    `specs` has an entry an output: name, datatype, width, shape, and a category's texts; `flat`
    says of each input field whether it is no vector of several dimensions. Raises `ValueError`
    where the parts do not fit each other or need Python.
    """

    counter: DirectCounter
    row_limit: int
    #: How many nanoseconds a run of the engine usually takes; 0 before the first.
    usual_ns: float
    def __init__(
        self,
        inputs: Contract,
        outputs: Contract,
        packers: Mapping[str, TensorPacker],
        session: Session,
        counter: DirectCounter,
        specs: Sequence[Mapping[str, Any]],
        flat: Sequence[bool],
        route: str,
        version: str,
        digest: str,
    ) -> None: ...
