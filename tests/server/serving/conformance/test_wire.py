"""What happens on the wire: bytes that are no message, deadlines, limits, encodings, tools."""

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from gnomon.bench.servers.h2load import write_body
from gnomon.proto import inference_pb2_grpc
from gnomon.runtime.packages.package import Package
from gnomon.runtime.wire import CODE_KEY, DETAILS_KEY
from tests.server.serving.conformance.asking import HERE, Worker, message_of
from tests.server.serving.conformance.cases import eta, tensor
from tests.server.serving.conformance.house import GRPC_FRONTENDS, House
from tests.server.serving.conformance.slow_package import make_slow_package
from tests.support.serving import request

INFER = "/inference.GRPCInferenceService/ModelInfer"

both_doors = pytest.mark.parametrize("frontend", GRPC_FRONTENDS)


@pytest.fixture(scope="module")
def slow_house(package: Package, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    slow = make_slow_package(tmp_path_factory.mktemp("slow") / "slow-1")
    house = House([package, slow])
    yield house
    house.close()


def refused(call: Callable[[], Any]) -> Any:
    """Return the error that a call ends in."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value


@both_doors
def test_bytes_that_are_no_message(house: House, frontend: str) -> None:
    with grpc.insecure_channel(house.address(frontend)) as channel:
        for path in ("ModelInfer", "ModelConfig", "RepositoryModelLoad", "ServerLive"):
            call = channel.unary_unary(f"/inference.GRPCInferenceService/{path}")
            for data in (b"\xff\xff", b"\x0a\x05ab", b"\x0a\x01\xff"):
                if path == "ServerLive" and data != b"\xff\xff":
                    # It has no fields, and what is unknown may be sent.
                    continue
                error = refused(lambda call=call, data=data: call(data, timeout=10))
                expected = grpc.StatusCode.INVALID_ARGUMENT
                if path == "RepositoryModelLoad":
                    # Who may not make a call learns nothing from it.
                    expected = grpc.StatusCode.PERMISSION_DENIED
                assert error.code() is expected, (path, data, error)
        error = refused(lambda: channel.unary_unary("/inference.GRPCInferenceService/No")(b""))
        assert error.code() is grpc.StatusCode.UNIMPLEMENTED


@both_doors
def test_a_refusal_is_reported_in_the_metadata(house: House, frontend: str) -> None:
    message = message_of(eta(distance=tensor("FP64", [-1.0])), raw=True)
    with grpc.insecure_channel(house.address(frontend)) as channel:
        stub = inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        metadata = (("x-own", "1"), ("x-own-bin", b"\xff\0"), ("user-agent", "somebody"))
        error = refused(lambda: stub.ModelInfer(message, timeout=10, metadata=metadata))
        trailing = dict(error.trailing_metadata())
        assert trailing[CODE_KEY] == "invalid_input"
        detail = json.loads(trailing[DETAILS_KEY])[0]
        assert (detail["field"], detail["rule"], detail["row"]) == ("distance", "minimum", 0)


@both_doors
def test_a_deadline_and_a_cancellation_leave_the_others_alone(
    slow_house: House, frontend: str
) -> None:
    slow = message_of(eta(model="slow"), raw=True)
    good = message_of(eta(), raw=True)
    with grpc.insecure_channel(slow_house.address(frontend)) as channel:
        stub = inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        assert stub.ModelInfer(slow, timeout=60).outputs
        error = refused(lambda: stub.ModelInfer(slow, timeout=0.02))
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert stub.ModelInfer(good, timeout=20).outputs
        future = stub.ModelInfer.future(slow, timeout=60)
        assert future.cancel()
        assert future.code() is grpc.StatusCode.CANCELLED
        assert stub.ModelInfer(good, timeout=20).outputs


@both_doors
def test_a_request_that_waits_longer_than_it_wants_to_is_refused(
    slow_house: House, frontend: str
) -> None:
    threads = slow_house.settings.threads
    slow = message_of(eta(model="slow"), raw=True)
    late = message_of(eta(model="slow", parameters={"timeout": 1000}), raw=True)
    with grpc.insecure_channel(slow_house.address(frontend)) as channel:
        stub = inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        # A connection keeps the order of calls only once it stands; the last finds no thread free.
        assert stub.ModelInfer(slow, timeout=60).outputs
        under_way = [stub.ModelInfer.future(slow, timeout=60) for _ in range(2 * threads)]
        error = refused(lambda: stub.ModelInfer(late, timeout=60))
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert dict(error.trailing_metadata())[CODE_KEY] == "overloaded"
        assert "its timeout is 1000 µs" in error.details()
        assert all(one.result().outputs for one in under_way)


@both_doors
def test_messages_have_a_limit_packed_or_not(house: House, frontend: str) -> None:
    limit = house.settings.message_bytes
    with grpc.insecure_channel(house.address(frontend)) as channel:
        call = channel.unary_unary(INFER)
        for compression in (grpc.Compression.NoCompression, grpc.Compression.Gzip):
            data = bytes(limit + 1)
            error = refused(lambda data=data, c=compression: call(data, timeout=30, compression=c))
            assert error.code() in (
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                grpc.StatusCode.INVALID_ARGUMENT,
            )
        good = message_of(eta(64), raw=True).SerializeToString()
        for compression in (grpc.Compression.Gzip, grpc.Compression.Deflate):
            assert call(good, timeout=10, compression=compression)


def post(house: House, data: bytes, **headers: str) -> httpx.Response:
    url = f"http://{house.address('rest')}/v2/models/eta/infer"
    return httpx.post(url, content=data, headers=headers, trust_env=False, timeout=20)


def test_bodies_may_be_packed_over_rest(house: House, worker: Worker) -> None:
    for encoding in ("gzip", "deflate"):
        for rows in (1, 2_000):
            ask = eta(rows) | {"compression": encoding}
            found = worker.ask("http_sync", house.address("rest"), ask)
            assert found["outputs"]["air_time"]["data"] == [111.0] * rows
    document = json.dumps(
        {"inputs": [{"name": n, **t} for n, t in eta(500)["inputs"].items()]}
    ).encode()
    for encoding, packed in (
        ("gzip", gzip.compress(document)),
        ("deflate", zlib.compress(document)),
    ):
        answer = post(house, packed, **{"content-encoding": encoding, "accept-encoding": encoding})
        assert answer.headers["content-encoding"] == encoding
        assert answer.json()["outputs"][0]["data"] == [111.0] * 500
    plain = post(house, document, **{"accept-encoding": "identity, gzip;q=0"})
    assert "content-encoding" not in plain.headers


def test_a_packed_body_cannot_grow_without_end(house: House) -> None:
    bomb = gzip.compress(bytes(house.settings.message_bytes * 2), 1)
    whole = gzip.compress(b"{}")
    for data, encoding, words in (
        (bomb, "gzip", "larger than"),
        (whole[:-6], "gzip", "cut short"),
        (b"plain", "gzip", "not gzip"),
        (b"plain", "deflate", "not deflate"),
        (b"plain", "br", "not known"),
    ):
        answer = post(house, data, **{"content-encoding": encoding})
        assert answer.status_code == 422
        assert words in answer.json()["detail"]


@both_doors
@pytest.mark.skipif(shutil.which("h2load") is None, reason="h2load is not installed")
def test_h2load_is_answered(house: House, frontend: str, tmp_path: Path) -> None:
    message = message_of(eta(), raw=True).SerializeToString()
    body = write_body(tmp_path / "body", message)
    done = subprocess.run(
        [
            *("h2load", "-n", "400", "-c", "4", "-m", "10", "-d", str(body)),
            *("-H", "content-type: application/grpc", "-H", "te: trailers"),
            f"http://{house.address(frontend)}{INFER}",
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert re.search(r"400 succeeded, 0 failed", done.stdout), done.stdout


@both_doors
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_speaks_grpc(house: House, frontend: str, tmp_path: Path) -> None:
    message = message_of(eta(), raw=True).SerializeToString()
    body = write_body(tmp_path / "body", message)
    done = subprocess.run(
        [
            *("curl", "-sS", "--noproxy", "*", "--http2-prior-knowledge", "-D", "-"),
            *("-H", "content-type: application/grpc", "-H", "te: trailers"),
            *("--data-binary", f"@{body}", "-o", str(tmp_path / "answer")),
            f"http://{house.address(frontend)}{INFER}",
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "HTTP/2 200" in done.stdout
    assert "grpc-status: 0" in done.stdout
    assert b"air_time" in (tmp_path / "answer").read_bytes()


WITHOUT_ORT = """
import sys
from gnomon.runtime.engines import onnx
onnx.find_library = lambda: None
from gnomon.__main__ import main
main()
"""


@pytest.mark.parametrize(
    ("missing", "words"),
    [("nghttp2", "libnghttp2.so.14 was not found"), ("ort", "ONNX Runtime")],
)
def test_where_a_library_is_missing_grpcio_serves_the_same_port(
    package: Package, tmp_path: Path, missing: str, words: str
) -> None:
    start = ["-m", "gnomon"] if missing == "nghttp2" else ["-c", WITHOUT_ORT]
    # What lies first on this path and is no library cannot be loaded.
    for name in ("libnghttp2.so.14", "libnghttp2.so"):
        (tmp_path / name).write_text("no library")
    hidden = {"LD_LIBRARY_PATH": str(tmp_path)} if missing == "nghttp2" else {}
    command = [sys.executable, *start, "serve", "--json", "--packages", str(package.path)]
    with subprocess.Popen(
        [*command, "--port", "0", "--rest-port", "-1", "--notice-seconds", "0"],
        env={**os.environ, **hidden},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout
            address = json.loads(process.stdout.readline())["grpc"]
            assert HERE["grpcio_raw"](address, eta(3))["ok"]
            process.terminate()
            _, log = process.communicate(timeout=30)
        finally:
            process.kill()
    (line,) = [one for one in log.splitlines() if "served by grpcio" in one]
    assert words in line


@pytest.mark.parametrize("frontend", [*GRPC_FRONTENDS, "rest"])
@pytest.mark.parametrize("name", ["classification", "shared_memory_region"])
def test_an_extension_that_is_not_served_is_refused_at_every_frontend(
    house: House, frontend: str, name: str
) -> None:
    """Plain tensors in answer to `class_count` would be another answer than was asked for."""
    address = house.address(frontend)
    if frontend == "rest":
        inputs = [
            {"name": "distance", "datatype": "FP64", "shape": [1], "data": [800.0]},
            {"name": "wind", "datatype": "FP64", "shape": [1], "data": [10.0]},
            {"name": "carrier", "datatype": "BYTES", "shape": [1], "data": ["UA"]},
        ]
        outputs = [{"name": "air_time", "parameters": {name: 1}}]
        answer = httpx.post(
            f"http://{address}/v2/models/eta/infer",
            json={"inputs": inputs, "outputs": outputs},
            trust_env=False,
        )
        assert answer.status_code == 422
        text = answer.json()["detail"]
    else:
        message = request()
        message.outputs.add(name="air_time").parameters[name].int64_param = 1
        with grpc.insecure_channel(address) as channel:
            stub = inference_pb2_grpc.GRPCInferenceServiceStub(channel)
            with pytest.raises(grpc.RpcError) as caught:
                stub.ModelInfer(message, timeout=20)
        error: Any = caught.value
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        text = error.details()
    assert f"the parameter {name!r} asks for an extension that is not served" in text
