"""The native frontend and REST behind nginx and HAProxy, with the settings of docs/deploy.md."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from gnomon.proto import inference_pb2_grpc
from gnomon.runtime.packages.package import Package
from gnomon.server.serving.admission.key_file import create_key
from gnomon.server.serving.native.loop import missing_library
from tests.server.serving.conformance.house import House
from tests.support.proxies import documented, free_port, run_proxy
from tests.support.serving import BODY, PREDICT, request
from tests.support.tls_files import TlsFiles

DOCUMENT = Path(__file__).parents[2] / "docs" / "deploy.md"
pytestmark = pytest.mark.skipif(
    missing_library() is not None, reason="libnghttp2 is not installed (package libnghttp2-14)"
)


class Proxy:
    """A proxy in front of a house; gives channels and clients with a key."""

    def __init__(self, files: TlsFiles, port: int, secret: str) -> None:
        self.metadata = [("authorization", f"Bearer {secret}")]
        self.channel = grpc.secure_channel(f"localhost:{port}", files.credentials())
        self.rest = httpx.Client(
            base_url=f"https://localhost:{port}",
            verify=files.context(),
            trust_env=False,
            timeout=20,
            headers=dict(self.metadata),
        )

    def close(self) -> None:
        self.channel.close()
        self.rest.close()


@pytest.fixture(scope="module")
def house(package: Package, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    keys = tmp_path_factory.mktemp("keys") / "keys.json"
    secret = create_key(keys, "pilot")
    house = House([package], only=("native",), keys_file=keys)
    yield house, secret
    house.close()


@pytest.fixture(scope="module", params=["nginx", "haproxy"])
def proxy(
    house: Any, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    (found, secret), kind, port = house, request.param, free_port()
    listen = "listen 8443" if kind == "nginx" else "bind :8443"
    changes = {
        "127.0.0.1:8500": found.address("native"),
        "127.0.0.1:8080": found.address("rest"),
        listen: f"{listen.split()[0]} 127.0.0.1:{port}",
    }
    folder = tmp_path_factory.mktemp(kind)
    with run_proxy(kind, documented(DOCUMENT, kind), changes, [port], folder) as files:
        proxy = Proxy(files, port, secret)
        yield proxy
        proxy.close()


def test_calls_and_refusals_come_through(proxy: Proxy) -> None:
    stub = inference_pb2_grpc.GRPCInferenceServiceStub(proxy.channel)
    with ThreadPoolExecutor(8) as threads:
        answers = list(
            threads.map(
                lambda _: stub.ModelInfer(request(), metadata=proxy.metadata, timeout=20),
                range(300),
            )
        )
    assert {answer.model_version for answer in answers} == {"1"}
    with pytest.raises(grpc.RpcError) as caught:
        stub.ModelInfer(request(distance=[-1.0]), metadata=proxy.metadata, timeout=20)
    error: Any = caught.value
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert dict(error.trailing_metadata())["gnomon-code"] == "invalid_input"
    with pytest.raises(grpc.RpcError) as caught:
        stub.ModelInfer(request(), timeout=20)
    error = caught.value
    assert error.code() is grpc.StatusCode.UNAUTHENTICATED


def test_streams_come_through(proxy: Proxy) -> None:
    stub = inference_pb2_grpc.GRPCInferenceServiceStub(proxy.channel)
    messages = [request() for _ in range(20)]
    for number, message in enumerate(messages):
        message.id = str(number)
    answers = stub.ModelStreamInfer(iter(messages), metadata=proxy.metadata, timeout=20)
    assert [one.infer_response.id for one in answers] == [message.id for message in messages]


def test_rest_comes_through(proxy: Proxy) -> None:
    for _ in range(20):
        assert proxy.rest.post(PREDICT, json=BODY).json()["version"] == "1"
    assert proxy.rest.head("/v2/health/live").status_code == 200
    assert proxy.rest.post("/v1/models/eta").headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize("size", [100, 1 << 20, 4 << 20])
def test_what_is_refused_before_its_body_is_read_says_so(proxy: Proxy, size: int) -> None:
    headers = {"authorization": "Bearer wrong"}
    for _ in range(4):
        answer = proxy.rest.post(PREDICT, content=b"x" * size, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
