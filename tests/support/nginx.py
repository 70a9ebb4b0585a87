"""nginx as tests start it in front of a server: one process, with all its files in one folder."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")

needs_nginx = pytest.mark.skipif(
    _NGINX is None, reason="nginx is not installed: apt-get install nginx"
)

_CONFIGURATION = """
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
    server {{ listen 127.0.0.1:{port} {protocol}; {settings} }}
}}
"""


@contextmanager
def run_nginx(folder: Path, settings: str, protocol: str = "") -> Iterator[str]:
    """Run nginx, and give its address.

    Args:
        folder: for its configuration, log and temporary files.
        settings: what its `server` block has beside the port.
        protocol: "http2", or empty for HTTP/1.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    file, errors = folder / "nginx.conf", folder / "error.log"
    file.write_text(
        _CONFIGURATION.format(folder=folder, port=port, protocol=protocol, settings=settings)
    )
    assert _NGINX is not None
    process = subprocess.Popen([_NGINX, "-p", folder, "-e", errors, "-c", file])
    try:
        _wait(port, process, errors)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def _wait(port: int, process: subprocess.Popen[bytes], errors: Path) -> None:
    until = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            assert process.poll() is None, errors.read_text()
            assert time.monotonic() < until
            time.sleep(0.05)
