"""The suite of the gRPC frontend, word for word, through the native frontend."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import numpy as np
import pytest

from gnomon.proto import inference_pb2 as oip
from gnomon.runtime import raw_tensors
from gnomon.runtime.packages.package import Package
from gnomon.server.serving.native.frontend import NativeFrontend
from gnomon.server.serving.native.loop import missing_library
from tests.server.serving import test_process
from tests.server.serving.grpcio import test_frontend as test_grpc_door
from tests.support.serving import Served, request

pytestmark = pytest.mark.skipif(
    missing_library() is not None, reason="libnghttp2 is not installed (package libnghttp2-14)"
)

CONTENTS = {
    "BOOL": "bool_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


class NativelyServed(Served):
    """As `Served`, behind the native frontend."""

    async def _make(self, settings: Any) -> Any:
        return NativeFrontend(self.handler, settings)


@pytest.fixture
def served(package: Package) -> Iterator[NativelyServed]:
    served = NativelyServed(package)
    yield served
    served.close()


@pytest.fixture
def server(server: Callable[..., Any]) -> Callable[..., Any]:
    """Start servers that say aloud that their frontend is the native one."""

    def start(**settings: Any) -> Any:
        return server(**{"frontend": "native", **settings})

    return start


#: Those about addresses and TLS open frontends of their own, grpcio's; and one breaks what Python
#: does for a request that this frontend answers without it: see below.
ELSEWHERE = ("test_the_door_", "test_an_unexpected_error_")

globals().update(
    (name, test)
    for suite in (test_grpc_door, test_process)
    for name, test in vars(suite).items()
    if name.startswith("test_") and not name.startswith(ELSEWHERE)
)


def tensors(raw: bool, **columns: Any) -> oip.ModelInferRequest:
    """A request of `name=(datatype, array)`; the array's shape is sent as it is."""
    message = oip.ModelInferRequest(model_name="eta", id="r1")
    for name, (datatype, array) in columns.items():
        tensor = message.inputs.add(name=name, datatype=datatype, shape=array.shape)
        if raw:
            message.raw_input_contents.append(raw_tensors.pack(datatype, array))
        else:
            getattr(tensor.contents, CONTENTS[datatype]).extend(
                [text.encode() for text in array.ravel()]
                if datatype == "BYTES"
                else array.ravel().tolist()
            )
    return message


def columns(kind: str = "FP64", rows: int = 1, upright: bool = False) -> dict[str, Any]:
    """Good columns, the numbers in a datatype."""
    shape = (rows, 1) if upright else (rows,)
    element = np.dtype(raw_tensors.ELEMENT_TYPES[kind])
    carriers = np.array((["UA", "AA", "WN"] * rows)[:rows], object).reshape(shape)
    return {
        "distance": (kind, (np.arange(rows) % 100 + 1).astype(element).reshape(shape)),
        "wind": (kind, (np.arange(rows) % 90 + 3).astype(element).reshape(shape)),
        "carrier": ("BYTES", carriers),
    }


def good_messages() -> Iterator[oip.ModelInferRequest]:
    """Requests that C answers."""
    for kind, raw, rows in itertools.product(raw_tensors.ELEMENT_TYPES, (False, True), (1, 2, 64)):
        if kind != "BOOL" and (raw or kind != "FP16"):
            yield tensors(raw, **columns(kind, rows, upright=rows == 2))
    for raw in (False, True):
        message = tensors(raw, **columns(rows=3))
        message.model_version = "1"
        message.outputs.add(name="air_time")
        yield message
        yield tensors(raw, **(columns() | {"wind": ("FP64", np.array([np.nan]))}))
    message = tensors(False, **columns())
    message.id = "ü" * 128
    yield message
    for key in ("", "customer-7", "Ω"):
        message = tensors(False, **columns())
        message.parameters["key"].string_param = key
        yield message
    for truth in (False, True):
        # Triton's C++ clients, perf_analyzer among them, put it into every request.
        message = tensors(True, **columns())
        message.parameters["triton_enable_empty_final_response"].bool_param = truth
        message.parameters["key"].string_param = "customer-7"
        yield message


def other_messages() -> Iterator[oip.ModelInferRequest]:
    """Requests that Python answers or refuses."""
    for raw in (False, True):
        for changed in (
            {"distance": ("FP64", np.array([-1.0]))},
            {"distance": ("FP64", np.array([np.inf]))},
            {"wind": ("FP64", np.array([900.0]))},
            {"wind": ("BYTES", np.array(["far"], object))},
            {"wind": ("BOOL", np.array([True]))},
            {"carrier": ("BYTES", np.array(["ZZ"], object))},
            {"carrier": ("BYTES", np.array(["Ω%\n"], object))},
            {"distance": ("FP64", np.array([1.0, 2.0]))},
            {"distance": ("FP64", np.array([[1.0, 2.0]]))},
            {"speed": ("FP64", np.array([1.0]))},
        ):
            yield tensors(raw, **(columns() | changed))
        yield tensors(raw, **columns(rows=65))
        message = tensors(raw, **columns())
        message.inputs[0].shape[:] = [2]
        yield message
        message = tensors(raw, **columns())
        message.parameters["key"].int64_param = 7
        yield message
        message = tensors(raw, **columns())
        message.parameters["triton_enable_empty_final_response"].string_param = "true"
        yield message
        message = tensors(raw, **columns())
        message.parameters["key"].string_param = "customer-7"
        message.parameters["at"].double_param = 1_700_000_000.0
        yield message
        message = tensors(raw, **columns())
        message.inputs[1].name = "distance"
        yield message
    for change in ({"model_name": "x"}, {"model_version": "9"}, {"id": "x" * 129}, {"inputs": []}):
        message = tensors(False, **columns())
        message.MergeFrom(oip.ModelInferRequest(**change))
        if "inputs" in change:
            message.ClearField("inputs")
        yield message
    message = tensors(True, **columns())
    message.raw_input_contents[0] = message.raw_input_contents[0][:-1]
    yield message
    message.raw_input_contents.pop()
    yield message


def outcome(served: Any, message: oip.ModelInferRequest) -> Any:
    """Return all that a client can see of a call."""
    try:
        answer, call = served.stub.ModelInfer.with_call(message, timeout=10)
    except grpc.RpcError as refused:
        error: Any = refused
        return error.code(), error.details(), sorted(error.trailing_metadata())
    return answer, sorted(call.trailing_metadata())


def test_both_frontends_say_the_same_word_for_word(package: Package, served: Any) -> None:
    good, others = list(good_messages()), list(other_messages())
    grpcio = Served(package)
    try:
        for message in (*good, *others):
            assert outcome(served, message) == outcome(grpcio, message), message
        counts = served.frontend.counts
        # Where it can be, it is: all that is plain and good took the way without Python.
        assert (counts["taken"], counts["declined"]) == (len(good), len(others))
        assert windows(served) == windows(grpcio)
        assert samples(served) == samples(grpcio)
    finally:
        grpcio.close()


def windows(served: Any) -> Any:
    """Return what was counted but for how long it took, and all of the latencies' number."""
    (model,) = served.runtime.models.values()
    served.runtime.flush()
    whole = model.package.profile.new_window()
    for record in served.sink.records:
        if record.HasField("window"):
            whole.merge(model.package.profile.read_window(record.window.window))
    fields = [one.name for one in model.package.profile.inputs]
    return (
        whole.outcomes,
        whole.outcome_rows,
        whole.violations.tolist(),
        int(whole.latency_counts.sum()),
        [whole.cells(name).tolist() for name in fields],
        [whole.moments(name) for name in fields[:2]],
        whole.output_cells("air_time").tolist(),
        whole.output_moments("air_time"),
    )


def samples(served: Any) -> Counter[tuple[str, float]]:
    """Return the sampled predictions by request."""
    return Counter(
        pair
        for record in served.sink.records
        if record.HasField("predictions")
        for pair in zip(record.predictions.request_ids, record.predictions.values, strict=True)
    )


def test_requests_without_a_name_are_given_names_that_differ(served: Any) -> None:
    message = tensors(False, **columns())
    message.id = ""
    names = [served.infer(message).id for _ in range(50)]
    assert len(set(names)) == 50
    served.runtime.flush()
    assert {name for name, _ in samples(served)} == set(names)


def test_an_unexpected_error_keeps_its_text_to_itself(
    served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("secret text")

    monkeypatch.setattr(served.runtime, "predict", fail)
    status, error = test_grpc_door.refusal(served, request(wind=[900.0]))
    assert (status, error.code) == (grpc.StatusCode.INTERNAL, "internal")
    assert "secret" not in str(error)
