"""Failed TLS handshakes at the hub's gRPC ports are counted and logged, in one line of many."""

import socket
import ssl
from collections.abc import Iterator
from typing import Any

import pytest

from gnomon.server.hub.process import Hub
from gnomon.server.rest import certificates, handshake_watch
from tests.support.waiting import wait_for

FAILURES = 6


class Logger:
    """Takes the place of the log."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def warning(self, text: str, *values: Any) -> None:
        self.lines.append(text % values)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[Logger]:
    logger = Logger()
    monkeypatch.setattr(certificates, "_log", logger)
    yield logger


def fail(address: str, how: str) -> None:
    """Begin a handshake that ends without success."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=20) as raw:
        if how == "no certificate":
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            try:
                with context.wrap_socket(raw) as wrapped:
                    wrapped.sendall(b"PRI * HTTP/2.0")
                    wrapped.recv(1)
            except OSError:
                return
        elif how == "no TLS":
            raw.sendall(b"GET / HTTP/1.1\r\n\r\n")
            raw.recv(1)


@pytest.mark.parametrize("how", ["no certificate", "no TLS", "broken off"])
def test_failed_handshakes_are_one_line_with_their_number(
    hub: Hub, node: Any, log: Logger, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    node.exchange()
    watch = hub._grpc.watches["sync"]
    for _ in range(FAILURES):
        fail(hub.addresses.sync, how)
    wait_for(lambda: watch.pending == FAILURES)
    monkeypatch.setattr(handshake_watch, "GRACE_SECONDS", 0.0)

    def is_logged() -> bool:
        node.exchange()
        return bool(log.lines)

    wait_for(is_logged)
    (line,) = log.lines
    assert line.startswith(f"{FAILURES} TLS handshakes with clients of the frontend hub, sync")
