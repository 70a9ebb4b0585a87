"""The hub behind nginx with its shortest configuration: nobody becomes an administrator by that."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.server.hub.conftest import shared_caller

__all__ = ["shared_caller"]

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")

pytestmark = pytest.mark.skipif(
    NGINX is None, reason="nginx is not installed: apt-get install nginx"
)

CONFIGURATION = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log notice;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_max_body_size 20m;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass {upstream}; }} }}
}}
"""


@pytest.fixture
def proxy(shared_caller: Any, tmp_path: Path) -> Iterator[httpx.Client]:
    """A client of a proxy that says nothing of who calls."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    file = tmp_path / "nginx.conf"
    upstream = shared_caller.addresses.rest
    file.write_text(CONFIGURATION.format(folder=tmp_path, port=port, upstream=upstream))
    assert NGINX is not None
    process = subprocess.Popen([NGINX, "-p", tmp_path, "-c", file])
    with httpx.Client(
        base_url=f"http://127.0.0.1:{port}", timeout=20, trust_env=False, verify=False
    ) as client:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                client.get("/healthz")
                break
            except httpx.TransportError:
                time.sleep(0.05)
        yield client
    process.terminate()
    process.wait(20)


def test_a_caller_through_a_proxy_needs_a_key(proxy: httpx.Client, shared_caller: Any) -> None:
    eve = {"name": "eve", "role": "admin"}
    for headers in ({}, {"host": "localhost"}, {"x-forwarded-for": "127.0.0.1"}):
        answer = proxy.post("/api/v1/principals", json=eve, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    key = {"authorization": shared_caller.http.headers["authorization"]}
    assert proxy.get("/api/v1/principals", headers=key).json() == []


def test_a_large_body_without_a_key_is_told_what_is_missing(proxy: httpx.Client) -> None:
    """nginx asks by HTTP/1.0 and needs the whole body to be read before the answer."""
    for _ in range(8):
        answer = proxy.post("/api/v1/labels", content=b" " * (4 << 20))
        assert answer.status_code == 401
