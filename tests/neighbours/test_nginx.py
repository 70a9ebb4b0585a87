"""The native frontend behind nginx, which opens a connection for each call."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from gnomon.runtime.packages.package import Package
from gnomon.server.serving.native.frontend import NativeFrontend
from gnomon.server.serving.native.loop import missing_library
from tests.support.serving import Served, request

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")

pytestmark = [
    pytest.mark.skipif(NGINX is None, reason="nginx is not installed: apt-get install nginx"),
    pytest.mark.skipif(missing_library() is not None, reason="libnghttp2 is not installed"),
]

CONFIGURATION = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log notice;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} http2;
        keepalive_requests 1000000;
        location / {{ grpc_pass grpc://{upstream}; grpc_read_timeout 5s; }}
    }}
}}
"""


class ManyLoops(Served):
    """A handler behind a native frontend of three loops."""

    async def _make(self, settings: Any) -> Any:
        return NativeFrontend(self.handler, settings)


@pytest.fixture
def served(package: Package) -> Iterator[ManyLoops]:
    served = ManyLoops(package, loops=3)
    yield served
    served.close()


@pytest.fixture
def proxy(served: ManyLoops, tmp_path: Path) -> Iterator[str]:
    """Start nginx in front of the frontend; gives its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    text = CONFIGURATION.format(folder=tmp_path, port=port, upstream=served.address)
    (tmp_path / "nginx.conf").write_text(text)
    assert NGINX is not None
    errors = str(tmp_path / "error.log")
    command = [NGINX, "-p", str(tmp_path), "-e", errors, "-c", str(tmp_path / "nginx.conf")]
    process = subprocess.Popen(command)
    until = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            assert process.poll() is None, Path(errors).read_text()
            assert time.monotonic() < until
            time.sleep(0.05)
    yield f"127.0.0.1:{port}"
    process.terminate()
    process.wait(10)


def test_every_call_through_nginx_is_answered(served: ManyLoops, proxy: str) -> None:
    message = request().SerializeToString()
    with grpc.insecure_channel(proxy) as channel, ThreadPoolExecutor(8) as threads:
        infer = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        answers = list(threads.map(lambda _: infer(message, timeout=20), range(2_000)))
    assert all(answers)
    # One connection for each call: that is what nginx does unless it is told otherwise.
    assert served.frontend.counts["connections"] >= 2_000
    assert all(one["answered"] for one in served.frontend.counts_by_loop)
