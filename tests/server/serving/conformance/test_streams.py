"""Streams at both gRPC frontends: in order, with errors inside, and ended well."""

import gc
import itertools
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from gnomon.proto import inference_pb2 as oip
from gnomon.proto import inference_pb2_grpc
from gnomon.runtime.packages.package import Package
from gnomon.runtime.wire import CODE_KEY
from gnomon.server.serving.admission.key_file import create_key, read_keys, revoke_key
from gnomon.server.serving.native.frontend import why_not
from gnomon.server.serving.native.loop import Call
from gnomon.server.serving.settings import FrontendSettings
from tests.server.serving.conformance.asking import Worker, message_of
from tests.server.serving.conformance.cases import eta, tensor
from tests.server.serving.conformance.house import GRPC_FRONTENDS, House

METHOD = "/inference.GRPCInferenceService/ModelStreamInfer"

pytestmark = pytest.mark.parametrize("frontend", GRPC_FRONTENDS)


def ask(
    house: House, frontend: str, messages: Iterator[bytes], **options: Any
) -> list[oip.ModelStreamInferResponse]:
    with grpc.insecure_channel(house.address(frontend), **options) as channel:
        call = channel.stream_stream(METHOD)
        return [
            oip.ModelStreamInferResponse.FromString(data) for data in call(messages, timeout=30)
        ]


def encoded(asks: Any) -> Iterator[bytes]:
    return (message_of(one, raw=True).SerializeToString() for one in asks)


def test_answers_come_in_order_with_errors_among_them(
    house: House, worker: Worker, frontend: str
) -> None:
    asks = [
        eta(1, id=f"r{number}", distance=tensor("FP64", [float(number) if number % 3 else -1.0]))
        for number in range(30)
    ]
    for empty_final in (False, True):
        sent = [one | {"empty_final": empty_final} for one in asks]
        found = worker.ask("stream", house.address(frontend), {"asks": sent})["answers"]
        for number, outcome in enumerate(found):
            assert outcome["ok"] == bool(number % 3), outcome
            if outcome["ok"]:
                assert outcome["id"] == f"r{number}"
                assert outcome["parameters"]["triton_final_response"] is True
                expected = pytest.approx(number / 8 + 11)
                assert outcome["outputs"]["air_time"]["data"] == [expected]
            else:
                assert "'distance': -1.0 breaks 'minimum'" in outcome["message"]


def test_a_refusal_in_a_stream_says_which_and_why(house: House, frontend: str) -> None:
    asks = [eta(id="bad", distance=tensor("FP64", [-1.0])), eta(id="good")]
    refused, answered = ask(house, frontend, encoded(asks))
    assert refused.error_message
    parameters = refused.infer_response.parameters
    assert refused.infer_response.id == "bad"
    assert parameters["gnomon_code"].string_param == "invalid_input"
    assert '"distance"' in parameters["gnomon_details"].string_param
    assert parameters["triton_final_response"].bool_param
    assert not answered.error_message
    assert answered.infer_response.id == "good"


def test_what_is_no_message_does_not_end_a_stream(house: House, frontend: str) -> None:
    good = message_of(eta(), raw=True).SerializeToString()
    found = ask(house, frontend, iter([b"\xff\xff", good, b"\x0a\x05ab", good]))
    assert [bool(one.error_message) for one in found] == [True, False, True, False]
    assert "inference.ModelInferRequest" in found[0].error_message


def test_streams_without_a_message_and_with_large_ones(house: House, frontend: str) -> None:
    assert ask(house, frontend, iter([])) == []
    options = {"options": (("grpc.max_receive_message_length", 64 << 20),)}
    found = ask(house, frontend, encoded([eta(50_000)] * 3), **options)
    for one in found:
        assert not one.error_message
        (raw,) = one.infer_response.raw_output_contents
        assert len(raw) == 4 * 50_000
    packed = ask(house, frontend, encoded([eta(64)] * 3), compression=grpc.Compression.Gzip)
    assert [list(one.infer_response.outputs[0].shape) for one in packed] == [[64, 1]] * 3


def test_many_streams_at_once(house: House, frontend: str) -> None:
    def one(number: int) -> bool:
        asks = [eta(1 + number, id=f"{number}-{place}") for place in range(10)]
        found = ask(house, frontend, encoded(asks))
        return [each.infer_response.id for each in found] == [each["id"] for each in asks]

    with ThreadPoolExecutor(12) as pool:
        assert all(pool.map(one, range(12)))


def test_a_stream_that_is_cut_leaves_the_frontend_well(house: House, frontend: str) -> None:
    good = message_of(eta(), raw=True).SerializeToString()
    for _ in range(5):
        with grpc.insecure_channel(house.address(frontend)) as channel:
            call = channel.stream_stream(METHOD)(itertools.repeat(good), timeout=30)
            for _ in range(3):
                next(call)
            call.cancel()
            with pytest.raises(grpc.RpcError):
                list(call)
            assert call.code() is grpc.StatusCode.CANCELLED
    assert len(ask(house, frontend, encoded([eta()]))) == 1


@pytest.mark.slow
def test_calls_whose_client_has_left_are_kept_nowhere(house: House, frontend: str) -> None:
    if frontend != "native":
        pytest.skip("calls are grpcio's own there")
    house.address(frontend)

    def kept() -> int:
        gc.collect()
        return sum(type(one) is Call for one in gc.get_objects())

    good = message_of(eta(), raw=True).SerializeToString()
    for _ in range(20):
        with grpc.insecure_channel(house.address(frontend)) as channel:
            call = channel.stream_stream(METHOD)(_Waiting([good]), timeout=30)
            next(call)
            watch = health_pb2_grpc.HealthStub(channel).Watch(
                health_pb2.HealthCheckRequest(), timeout=30
            )
            next(watch)
    until = time.monotonic() + 20
    # Each thread that answers remembers its last call until it gets another.
    while kept() > house.settings.threads and time.monotonic() < until:
        time.sleep(0.05)
    assert kept() <= house.settings.threads


def test_a_closing_frontend_ends_idle_streams_at_once(package: Package, frontend: str) -> None:
    house = House([package], only=(frontend,))
    try:
        good = message_of(eta(), raw=True).SerializeToString()
        waiting = _Waiting([good])
        with grpc.insecure_channel(house.address(frontend)) as channel:
            call = channel.stream_stream(METHOD)(waiting, timeout=60)
            assert not oip.ModelStreamInferResponse.FromString(next(call)).error_message
            started = time.monotonic()
            house.run(house.frontends[frontend].close(20))
            with pytest.raises(grpc.RpcError):
                next(call)
            assert call.code() is grpc.StatusCode.UNAVAILABLE
            assert dict(call.trailing_metadata())[CODE_KEY] == "not_ready"
            assert time.monotonic() - started < 15
    finally:
        house.frontends.clear()
        house.close()


class _Waiting:
    """Messages, and then nothing, without an end."""

    def __init__(self, messages: list[bytes]) -> None:
        self._messages = messages

    def __iter__(self) -> "_Waiting":
        return self

    def __next__(self) -> bytes:
        if self._messages:
            return self._messages.pop()
        time.sleep(3600)
        raise StopIteration


def test_a_key_that_is_revoked_ends_an_open_stream(
    package: Package, tmp_path: Path, frontend: str
) -> None:
    file = tmp_path / "keys.json"
    header = f"Bearer {create_key(file, 'one')}"
    settings = FrontendSettings(port=0, keys_file=file)
    if frontend == "native" and why_not(settings) is not None:
        pytest.skip(f"the native frontend has no keys here: {why_not(settings)}")
    house = House([package], only=(frontend,), keys_file=file)
    try:
        good = message_of(eta(), raw=True).SerializeToString()
        with grpc.insecure_channel(house.address(frontend)) as channel:
            method = channel.stream_stream(METHOD)
            with pytest.raises(grpc.RpcError) as caught:
                list(method(iter([good]), timeout=20))
            error: Any = caught.value
            assert error.code() is grpc.StatusCode.UNAUTHENTICATED
            call = method(itertools.repeat(good), metadata=(("authorization", header),), timeout=60)
            assert not oip.ModelStreamInferResponse.FromString(next(call)).error_message
            revoke_key(file, read_keys(file)[0].id)
            with pytest.raises(grpc.RpcError):
                for _ in call:
                    pass
            assert call.code() is grpc.StatusCode.UNAUTHENTICATED
    finally:
        house.close()


def test_health_can_be_watched(package: Package, frontend: str) -> None:
    house = House([package], only=(frontend,))
    try:
        with grpc.insecure_channel(house.address(frontend)) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            kind = health_pb2.HealthCheckResponse
            watches = [
                stub.Watch(health_pb2.HealthCheckRequest(service=name), timeout=30)
                for name in ("", "inference.GRPCInferenceService", "nothing")
            ]
            expected = (kind.SERVING, kind.SERVING, kind.SERVICE_UNKNOWN)
            assert tuple(next(one).status for one in watches) == expected
            watches[1].cancel()
            house.handler.drain()
            assert next(watches[0]).status == kind.NOT_SERVING
            for one in watches:
                one.cancel()
    finally:
        house.close()


def test_reflection_tells_what_can_be_asked(house: House, frontend: str) -> None:
    with grpc.insecure_channel(house.address(frontend)) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        asked = (
            reflection_pb2.ServerReflectionRequest(list_services=""),
            reflection_pb2.ServerReflectionRequest(
                file_containing_symbol="inference.GRPCInferenceService"
            ),
            reflection_pb2.ServerReflectionRequest(file_containing_symbol="no.such.Thing"),
        )
        names, file, nothing = stub.ServerReflectionInfo(iter(asked), timeout=10)
        services = {one.name for one in names.list_services_response.service}
        assert services == {
            "grpc.health.v1.Health",
            "grpc.reflection.v1alpha.ServerReflection",
            "inference.GRPCInferenceService",
        }
        (described,) = file.file_descriptor_response.file_descriptor_proto
        assert b"ModelStreamInfer" in described
        assert nothing.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]


def test_a_stub_asks_as_well(house: House, frontend: str) -> None:
    with grpc.insecure_channel(house.address(frontend)) as channel:
        stub = inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        (one,) = stub.ModelStreamInfer(iter([message_of(eta(), raw=False)]), timeout=10)
        assert one.infer_response.outputs[0].contents.fp32_contents[0] == pytest.approx(111.0)
