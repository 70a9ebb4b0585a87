"""The address of the REST frontend, known before its slow imports."""

import socket

from gnomon.runtime.errors import ConfigurationError
from gnomon.server.rest.listening import listen
from gnomon.server.serving.settings import FrontendSettings


def listen_rest(settings: FrontendSettings, port: int) -> socket.socket:
    """Return a socket that listens for REST.

    Raises:
        ConfigurationError: the port is taken, or not to be opened without authentication.
    """
    settings.check_reach()
    try:
        return listen(settings.host, port, is_shared=settings.share_port)
    except ConfigurationError as error:
        raise ConfigurationError(f"{error}; give rest_port (0: any, -1: no REST)") from error


def url_of(settings: FrontendSettings, listener: socket.socket) -> str:
    """Return the URL of the frontend."""
    scheme = "https" if settings.certificate_file else "http"
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{scheme}://{host}:{listener.getsockname()[1]}"
