"""Binding a REST port, apart from what serves it, so that a port can be open before that is."""

import socket

from gnomon.runtime.errors import ConfigurationError

_WAITING_CONNECTIONS = 128


def listen(host: str, port: int, *, is_shared: bool = False) -> socket.socket:
    """Return a socket that listens; who connects waits until it is served.

    With `is_shared` other sockets of this user, opened so too, may listen on the port as well.

    Raises:
        ConfigurationError: where the port is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Only where the protocol is named does asyncio set TCP_NODELAY; without it, each answer
    # whose head and body are written apart waits 40 ms for the client's acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    # A process that was killed must come up on its port again, at once.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if is_shared:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind((host, port))
        listener.listen(_WAITING_CONNECTIONS)
    except OSError as error:
        listener.close()
        raise ConfigurationError(f"{host}:{port} cannot be listened on: {error}") from error
    return listener
