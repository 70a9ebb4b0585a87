"""Binding of a REST port, separate from its server, so that it can be open earlier."""

import socket

from gnomon.runtime.errors import ConfigurationError

_WAITING_CONNECTIONS = 128


def listen(host: str, port: int, *, is_shared: bool = False) -> socket.socket:
    """Return a listening socket; clients that connect wait until it is served.

    With `is_shared`, other sockets of this user with `is_shared` may listen on the same port.

    Raises:
        ConfigurationError: the port is in use.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY only if the protocol is named. Without it, an answer whose head and
    # body are written separately waits 40 ms for the client's acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    # A killed process must be able to take its port again at once.
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
