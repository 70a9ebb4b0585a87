"""What a call to a server that failed says: typed errors from the wire, and wrong addresses."""

from collections.abc import Mapping
from typing import Any

import grpc

from gnomon.runtime.errors import (
    ConfigurationError,
    GnomonError,
    InvalidInput,
    NotAllowed,
    NotReady,
    NotServed,
    Overloaded,
    Unauthenticated,
)
from gnomon.runtime.wire import read_error

#: The error of a status without details, such as from a proxy.
_BY_STATUS: Mapping[Any, type[GnomonError]] = {
    grpc.StatusCode.UNAVAILABLE: NotReady,
    # A server that shuts down cancels calls that it cannot finish.
    grpc.StatusCode.CANCELLED: NotReady,
    grpc.StatusCode.DEADLINE_EXCEEDED: NotReady,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Overloaded,
    grpc.StatusCode.INVALID_ARGUMENT: InvalidInput,
    grpc.StatusCode.PERMISSION_DENIED: NotAllowed,
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.UNIMPLEMENTED: NotServed,
}

_EXAMPLE = "such as 127.0.0.1:8500: the host and gRPC port of a server"
_MAX_PORT = 65_535
#: Schemes of URLs, which names of targets in gRPC do not have.
_URL_SCHEMES = ("http://", "https://", "grpc://", "grpcs://", "tcp://")

#: A part of gRPC's message → what was found there, and what to use instead.
_FOUND: tuple[tuple[str, str], ...] = (
    (
        "http1.x server",
        "HTTP/1 is spoken there, as by REST and by hubs; use the server's gRPC port (port, 8500 by "
        "default)",
    ),
    (
        "WRONG_VERSION_NUMBER",
        "no TLS is spoken there; leave out authority_file, or use the port that has TLS",
    ),
    ("CERTIFICATE_VERIFY_FAILED", "authority_file does not verify the server's certificate"),
    (
        "Method not found",
        "gRPC is spoken there, but not for inference, as by the ports of a hub, or not for labels, "
        "which only an agent takes at its socket",
    ),
    (
        "Socket closed",
        "the connection was closed without an answer: the server stopped, or it speaks TLS (give "
        "authority_file) or wants a client's certificate (certificate_file, key_file)",
    ),
)


def check_address(address: str) -> None:
    """Check that an address may be that of a server.

    Raises:
        ConfigurationError: it is empty or a URL, or its port is out of range.
    """
    if not address or address.startswith(_URL_SCHEMES):
        advice = f"{_EXAMPLE}, without http://" if address else _EXAMPLE
        raise ConfigurationError(f"the address {address!r} should be host:port, {advice}")
    host, _, port = address.rpartition(":")
    if host and "/" not in address and port.isdecimal() and int(port) > _MAX_PORT:
        raise ConfigurationError(f"the port of the address {address!r} should be 1 to {_MAX_PORT}")


def error_of(address: str, error: Any) -> GnomonError:
    """Return the typed error of a call that failed."""
    message, status = str(error.details() or ""), error.code()
    failure = read_error(message, error.trailing_metadata() or ())
    if failure is not None:
        return failure
    kind = _BY_STATUS.get(status, GnomonError)
    found = "".join(f"{advice}: " for part, advice in _FOUND if part in message)
    return kind(f"{address}: {status.name}: {found}{message[:500] or 'no details'}")
