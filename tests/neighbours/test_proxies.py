"""The native frontend and REST behind nginx and HAProxy, with the settings of docs/deploy.md."""

import os
import re
import shutil
import socket
import subprocess
import time
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
from tests.support.serving import BODY, PREDICT, request
from tests.support.tls_files import TlsFiles

DOCUMENT = Path(__file__).parents[2] / "docs" / "deploy.md"
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
    access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    {settings}
}}
"""
COMMANDS = {
    "nginx": ["-p", "{folder}", "-e", "{folder}/error.log", "-c", "{folder}/nginx.conf"],
    "haproxy": ["-db", "-f", "{folder}/haproxy.conf"],
}

pytestmark = pytest.mark.skipif(
    missing_library() is not None, reason="libnghttp2 is not installed (package libnghttp2-14)"
)


def documented(kind: str) -> str:
    """Return the settings in the document."""
    found = re.search(rf"```{kind}\n(.*?)```", DOCUMENT.read_text(), flags=re.DOTALL)
    assert found is not None
    return found[1]


def settings_of(kind: str, house: House, port: int, folder: Path) -> str:
    """Return the documented settings with this test's addresses and files."""
    text = documented(kind)
    for old, new in (
        ("127.0.0.1:8500", house.address("native")),
        ("127.0.0.1:8080", house.address("rest")),
        ("listen 8443", f"listen 127.0.0.1:{port}"),
        ("bind :8443", f"bind 127.0.0.1:{port}"),
        ("/etc/gnomon/proxy.pem", f"{folder}/proxy.pem"),
    ):
        text = text.replace(old, new)
    return NGINX.format(folder=folder, settings=text) if kind == "nginx" else text


class Proxy:
    """A proxy in front of a house; gives channels and clients with a key."""

    def __init__(self, kind: str, house: House, folder: Path, secret: str) -> None:
        program = shutil.which(kind, path=PATH)
        if program is None:
            pytest.skip(f"{kind} is not installed: apt-get install {kind}")
        files = TlsFiles(folder / "tls")
        (folder / "proxy.pem").write_bytes(files.certificate.read_bytes() + files.key.read_bytes())
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        (folder / f"{kind}.conf").write_text(settings_of(kind, house, self.port, folder))
        command = [program, *(part.format(folder=folder) for part in COMMANDS[kind])]
        with (folder / "output").open("w") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=output)
        self._wait(folder)
        self.metadata = [("authorization", f"Bearer {secret}")]
        self.channel = grpc.secure_channel(f"localhost:{self.port}", files.credentials())
        self.rest = httpx.Client(
            base_url=f"https://localhost:{self.port}",
            verify=files.context(),
            trust_env=False,
            timeout=20,
            headers=dict(self.metadata),
        )

    def _wait(self, folder: Path) -> None:
        until = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert self._process.poll() is None, (folder / "output").read_text()
                assert time.monotonic() < until
                time.sleep(0.05)

    def close(self) -> None:
        self.channel.close()
        self.rest.close()
        self._process.terminate()
        self._process.wait(10)


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
    proxy = Proxy(request.param, house[0], tmp_path_factory.mktemp(request.param), house[1])
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
