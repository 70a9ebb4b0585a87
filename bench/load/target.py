"""The server that a load test names: its protocol and address, resolved once."""

import socket
import struct
from dataclasses import dataclass
from enum import IntEnum
from urllib.parse import urlsplit

from gnomon.runtime.errors import ConfigurationError, Fault, GnomonError

__all__ = ["LoadTarget", "Protocol", "TargetUnavailable", "parse_target"]

SCHEMES = "grpc://host:port, http://host:port (HTTP/1) or h2c://host:port (HTTP/2)"


class TargetUnavailable(GnomonError):
    """The server under test cannot be reached, or has stopped answering."""

    fault = Fault.HUB
    code = "target_unavailable"


class Protocol(IntEnum):
    """How requests are sent, by the numbers of `load_state.h`."""

    GRPC = 0
    HTTP1 = 1
    HTTP2 = 2


_PROTOCOLS = {"grpc": Protocol.GRPC, "http": Protocol.HTTP1, "h2c": Protocol.HTTP2}


@dataclass(frozen=True)
class LoadTarget:
    """Protocol, the address as clients write it, and as the kernel takes it."""

    protocol: Protocol
    address: str
    socket_address: bytes

    @property
    def is_grpc(self) -> bool:
        """Whether it speaks gRPC."""
        return self.protocol is Protocol.GRPC


def parse_target(text: str) -> LoadTarget:
    """Read an address such as `grpc://127.0.0.1:8500`, and resolve its host.

    Raises:
        ConfigurationError: the address is not of a form that is known.
        TargetUnavailable: no host of that name is known.
    """
    parts = urlsplit(text if "://" in text else f"grpc://{text}")
    if parts.scheme in ("https", "grpcs"):
        raise ConfigurationError(f"{text}: the load generator does not support TLS")
    try:
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigurationError(f"{text}: {error}") from error
    is_plain = not (parts.path.strip("/") or parts.query or parts.username)
    if parts.scheme not in _PROTOCOLS or not host or not port or not is_plain:
        raise ConfigurationError(f"{text} is not an address such as {SCHEMES}")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise TargetUnavailable(f"{text}: the host {host!r} is unknown: {error}") from error
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return LoadTarget(_PROTOCOLS[parts.scheme], address, _pack(found[0], found[4]))


def _pack(family: int, address: tuple[object, ...]) -> bytes:
    """Return what connect() takes, as Linux has it."""
    host, port = str(address[0]).partition("%")[0], int(str(address[1]))
    head = struct.pack("=H", family) + struct.pack("!H", port)
    if family == socket.AF_INET:
        return head + socket.inet_pton(family, host) + bytes(8)
    scope = int(str(address[3])) if len(address) > 3 else 0
    return head + bytes(4) + socket.inet_pton(family, host) + struct.pack("=I", scope)
