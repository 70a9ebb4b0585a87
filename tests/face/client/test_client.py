"""The client: rows in, answers out, typed errors, retries; and tritonclient in the same process."""

import asyncio
import signal
import subprocess
import sys
import threading
from datetime import datetime
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from gnomon import AsyncClient, Client
from gnomon.client.inference.codec import encode
from gnomon.client.inference.retries import Attempts, RetryBudget
from gnomon.proto import inference_pb2, private
from gnomon.runtime.errors import (
    GnomonError,
    InvalidInput,
    NotReady,
    Unauthenticated,
    UnknownModel,
)
from gnomon.server.serving.admission.key_file import create_key
from gnomon.server.serving.grpcio.frontend import GrpcFrontend
from gnomon.server.serving.settings import FrontendSettings

GOOD = {"distance": 800.0, "wind": 10.0, "carrier": "UA"}

#: Both in one process: our client first or tritonclient first.
TOGETHER = """
import sys
import numpy as np
order, address = sys.argv[1:]
if order == "ours-first":
    from gnomon import Client
    import tritonclient.grpc as triton
else:
    import tritonclient.grpc as triton
    from gnomon import Client

def ask_triton():
    made = []
    for name, value, datatype in (("distance", 800.0, "FP64"), ("wind", 10.0, "FP64"),
                                  ("carrier", "UA", "BYTES")):
        array = np.array([[value]], object if datatype == "BYTES" else float)
        tensor = triton.InferInput(name, array.shape, datatype)
        tensor.set_data_from_numpy(array)
        made.append(tensor)
    with triton.InferenceServerClient(address) as client:
        return float(client.infer("eta", made).as_numpy("air_time")[0, 0])

with Client(address) as client:
    for _ in range(2):
        (answer,) = client.predict("eta", {"distance": 800.0, "wind": 10.0, "carrier": "UA"})
        assert abs(answer.outputs["air_time"] - 111) < 1e-3, answer
        assert abs(ask_triton() - 111) < 1e-3
assert not any(name.startswith("gnomon.proto.inference_pb2") for name in sys.modules)
"""


@pytest.mark.parametrize("order", ["ours-first", "theirs-first"])
def test_tritonclient_lives_in_the_same_process(served: Any, order: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", TOGETHER, order, served.address],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


def test_the_private_messages_are_the_public_ones() -> None:
    data = Path(private.__file__).with_name("inference.binpb").read_bytes()
    assert data == inference_pb2.DESCRIPTOR.serialized_pb
    ours = private.inference_messages()
    assert set(ours) == set(inference_pb2.DESCRIPTOR.message_types_by_name)
    assert ours["ModelInferRequest"] is not inference_pb2.ModelInferRequest


def test_rows_in_answers_out(served: Any) -> None:
    with Client(served.address) as client:
        (digest,) = served.runtime.models
        (answer,) = client.predict("eta", GOOD, request_id="q")
        assert answer.outputs == {"air_time": pytest.approx(111.0)}
        assert (answer.version, answer.digest, answer.request_id) == ("1", digest, "q")
        assert (answer.violations, answer.fallback) == ((), None)
        rows = [GOOD, GOOD | {"wind": None}, GOOD | {"wind": 900}, GOOD | {"distance": 400}]
        answers = client.predict("eta", rows, request_id="q", key="c7", at=datetime(2013, 7, 4))
        values = [one.outputs["air_time"] for one in answers]
        assert values == pytest.approx([111, 110, 130, 61])
        assert [one.request_id for one in answers] == ["q/0", "q/1", "q/2", "q/3"]
        assert [len(one.violations) for one in answers] == [0, 0, 1, 0]
        assert answers[2].violations[0]["rule"] == "maximum"
        # Whole numbers, NumPy's scalars, and a row as any mapping.
        (answer,) = client.predict(
            "eta", {"distance": np.float32(800), "wind": 10, "carrier": "UA"}
        )
        assert answer.outputs["air_time"] == pytest.approx(111.0)
        (answer,) = client.predict(
            "eta", [{"distance": 800, "wind": None, "carrier": "UA"}], at=1e9
        )
        assert answer.outputs["air_time"] == pytest.approx(110.0)
        assert client.is_ready("eta")
        assert not client.is_ready("eta", "9")
        assert not client.is_ready("x")
    assert served.counted() == {"answered": 7}


def test_refusals_are_typed_and_say_what_is_wrong(served: Any) -> None:
    with Client(served.address) as client:
        with pytest.raises(InvalidInput, match="breaks 'minimum'") as caught:
            client.predict("eta", [GOOD, GOOD | {"distance": -1}])
        detail = caught.value.details[0]
        assert (detail["row"], detail["field"], detail["rule"]) == (1, "distance", "minimum")
        with pytest.raises(UnknownModel, match="in service"):
            client.predict("weather", GOOD)
        for rows in ([], [GOOD, GOOD | {"distance": "far"}], [GOOD | {"carrier": {}}]):
            with pytest.raises(InvalidInput):
                client.predict("eta", rows)


@pytest.mark.parametrize(
    ("values", "datatype", "shape"),
    [
        ([1, 2], "INT64", [2, 1]),
        ([1, 2.5], "FP64", [2, 1]),
        ([None, 2], "FP64", [2, 1]),
        ([None, None], "FP64", [2, 1]),
        ([True, False], "BOOL", [2, 1]),
        (["a", ""], "BYTES", [2, 1]),
        (["a", None], "BYTES", [2, 1]),
        ([[1.0, 2.0, 3.0], np.zeros(3)], "FP32", [2, 3]),
    ],
)
def test_columns_are_of_one_datatype(values: list[Any], datatype: str, shape: list[int]) -> None:
    (tensor,) = encode("m", [{"x": value} for value in values]).inputs
    assert (tensor.datatype, list(tensor.shape)) == (datatype, shape)


def test_a_key_is_shown(served: Any, tmp_path: Path) -> None:
    keys_file = tmp_path / "keys.json"
    key = create_key(keys_file, "app", ["eta"])

    async def make() -> tuple[GrpcFrontend, str]:
        frontend = GrpcFrontend(served.handler, FrontendSettings(port=0, keys_file=keys_file))
        return frontend, await frontend.open()

    frontend, address = served.run(make())
    try:
        with Client(address, api_key=key) as client:
            assert client.predict("eta", GOOD)
        with Client(address) as client, pytest.raises(Unauthenticated):
            client.predict("eta", GOOD)
    finally:
        served.run(frontend.close(0))


def test_asyncio_has_the_same(served: Any) -> None:
    async def ask() -> None:
        async with AsyncClient(served.address) as client:
            answers = await asyncio.gather(*(client.predict("eta", GOOD) for _ in range(20)))
            assert {one.outputs["air_time"] for (one,) in answers} == {111.0}
            with pytest.raises(InvalidInput):
                await client.predict("eta", GOOD | {"distance": -1})
        async with AsyncClient("127.0.0.1:1", timeout_seconds=0.3) as client:
            with pytest.raises(NotReady):
                await client.predict("eta", GOOD)

    asyncio.run(asyncio.wait_for(ask(), 30))


def test_no_one_there_is_reported_in_time() -> None:
    with Client("127.0.0.1:1", timeout_seconds=0.5) as client:
        with pytest.raises(NotReady, match=r"127\.0\.0\.1:1"):
            client.predict("eta", GOOD)
        assert not client.is_ready("eta")


def test_a_server_that_is_not_ours_is_an_error_of_the_family(served: Any) -> None:
    class Other(grpc.GenericRpcHandler):  # type: ignore[misc]
        def service(self, _details: Any) -> Any:
            return grpc.unary_unary_rpc_method_handler(lambda data, _: b"\xff\xff")

    from concurrent.futures import ThreadPoolExecutor

    server = grpc.server(ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers((Other(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with Client(f"127.0.0.1:{port}") as client, pytest.raises(GnomonError):
            client.predict("eta", GOOD)
    finally:
        server.stop(0)
    response = private.inference_messages()["ModelInferResponse"]()
    from gnomon.client.inference.codec import decode

    with pytest.raises(GnomonError, match="cannot be read"):
        decode(response)


def test_what_a_leaving_server_cuts_short_is_asked_again() -> None:
    class Leaving(grpc.GenericRpcHandler):  # type: ignore[misc]
        calls = 0

        def service(self, _details: Any) -> Any:
            def answer(_data: bytes, context: Any) -> bytes:
                self.calls += 1
                status = "CANCELLED" if self.calls < 3 else "INVALID_ARGUMENT"
                context.abort(grpc.StatusCode[status], status)
                raise AssertionError("abort raises")

            return grpc.unary_unary_rpc_method_handler(answer)

    from concurrent.futures import ThreadPoolExecutor

    server = grpc.server(ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers((leaving := Leaving(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with Client(f"127.0.0.1:{port}") as client:
            with pytest.raises(InvalidInput):
                client.predict("eta", GOOD)
            assert (leaving.calls, client.retried) == (3, 2)
    finally:
        server.stop(0)


@pytest.mark.slow
def test_a_restart_fails_no_call(server: Any) -> None:
    """A new server takes the port of one that drains; the client's retries bridge the gap."""
    process, address = server(notice_seconds=0.1)
    port = int(address.rpartition(":")[2])
    answered, failed = 0, []
    stop = threading.Event()

    def ask() -> None:
        nonlocal answered
        with Client(address, timeout_seconds=20, retries=1_000) as client:
            while not stop.is_set():
                try:
                    client.predict("eta", GOOD)
                    answered += 1
                except GnomonError as error:
                    failed.append(error)

    caller = threading.Thread(target=ask)
    caller.start()
    try:
        for _ in range(2):
            before = answered
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=30) == 0
            process, _ = server(port=port, notice_seconds=0.1)
            for _ in range(400):
                if answered > before + 20:
                    break
                stop.wait(0.05)
            assert answered > before + 20
    finally:
        stop.set()
        caller.join(30)
    assert not failed


def test_retries_have_a_budget_and_a_deadline() -> None:
    budget = RetryBudget(3)
    unavailable = NotReady("gone")
    attempts = Attempts(budget, 0.0, 100.0)
    pauses = [attempts.next_pause(unavailable, is_unavailable=True, now=1.0) for _ in range(5)]
    assert [pause is None for pause in pauses] == [False] * 3 + [True] * 2
    assert all(0 <= pause <= 1 for pause in pauses if pause is not None)
    for _ in range(10):
        budget.refund()
    late = Attempts(budget, 0.0, 1.0)
    assert late.next_pause(unavailable, is_unavailable=True, now=1.0) is None
    assert late.seconds_left(5.0) > 0
    fresh = Attempts(budget, 0.0, 100.0)
    assert fresh.next_pause(InvalidInput("bad"), is_unavailable=False, now=0) is None
    assert fresh.next_pause(unavailable, is_unavailable=False, now=0) is None
    assert fresh.next_pause(unavailable, is_unavailable=True, now=0) is not None
