"""nginx and HAProxy as tests start them, with settings that a document has."""

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.tls_files import TlsFiles

_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
_NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
    access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    {settings}
}}
"""
_COMMANDS = {
    "nginx": ["-p", "{folder}", "-e", "{folder}/error.log", "-c", "{folder}/nginx.conf"],
    "haproxy": ["-db", "-f", "{folder}/haproxy.conf"],
}


def documented(document: Path, kind: str) -> str:
    """Return the settings of a proxy in a document."""
    found = re.search(rf"```{kind}\n(.*?)```", document.read_text(), flags=re.DOTALL)
    assert found is not None
    return found[1]


def free_port() -> int:
    """Return a port of this machine that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@contextmanager
def run_proxy(
    kind: str, settings: str, changes: Mapping[str, str], ports: list[int], folder: Path
) -> Iterator[TlsFiles]:
    """Run a proxy, and give the authority of its certificate; skip the test without the program.

    Args:
        kind: "nginx" or "haproxy".
        settings: as a document has them, with /etc/gnomon/proxy.pem for its certificate.
        changes: texts of the settings and what to write instead: addresses.
        ports: where it listens then.
        folder: for its files.
    """
    program = shutil.which(kind, path=_PATH)
    if program is None:
        pytest.skip(f"{kind} is not installed: apt-get install {kind}")
    files = TlsFiles(folder / "tls")
    (folder / "proxy.pem").write_bytes(files.certificate.read_bytes() + files.key.read_bytes())
    for old, new in {**changes, "/etc/gnomon/proxy.pem": f"{folder}/proxy.pem"}.items():
        assert old in settings, old
        settings = settings.replace(old, new)
    if kind == "nginx":
        settings = _NGINX.format(folder=folder, settings=settings)
    (folder / f"{kind}.conf").write_text(settings)
    command = [program, *(part.format(folder=folder) for part in _COMMANDS[kind])]
    with (folder / "output").open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        for port in ports:
            _wait(port, process, folder)
        yield files
    finally:
        process.terminate()
        process.wait(20)


def _wait(port: int, process: subprocess.Popen[bytes], folder: Path) -> None:
    until = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            assert process.poll() is None, (folder / "output").read_text()
            assert time.monotonic() < until
            time.sleep(0.05)
