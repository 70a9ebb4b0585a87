"""Where a gRPC frontend listens: a TCP address, or a Unix socket for its owner only."""

import contextlib
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

from gnomon.runtime.errors import ConfigurationError
from gnomon.server.serving.settings import FrontendSettings

_BACKLOG = 1_024
_OWNER_ONLY = 0o600


def address_of(settings: FrontendSettings) -> str:
    """Return the address as gRPC clients write it, with the configured port."""
    if settings.socket_path is not None:
        return f"unix:{settings.socket_path}"
    host = settings.host
    return f"[{host}]:{settings.port}" if ":" in host else f"{host}:{settings.port}"


@contextlib.contextmanager
def telling(settings: FrontendSettings) -> Iterator[None]:
    """Raise OS errors as `ConfigurationError` that names the address."""
    try:
        yield
    except (RuntimeError, OSError) as error:
        setting = "port (0: any)" if settings.socket_path is None else "socket_path"
        raise ConfigurationError(
            f"the frontend cannot open on {address_of(settings)}: {error}; give {setting}"
        ) from error


def listen(settings: FrontendSettings) -> tuple[socket.socket, str]:
    """Return a listening socket, and its address as gRPC clients write it.

    Raises:
        ConfigurationError: the address is in use or unavailable.
    """
    with telling(settings):
        path = settings.socket_path
        if path is None:
            listener = _listen(settings)
            port = listener.getsockname()[1]
            return listener, f"{address_of(settings).rpartition(':')[0]}:{port}"
        make_way(path, is_shared=settings.share_port)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        # No client can connect before it listens.
        path.chmod(_OWNER_ONLY)
        listener.listen(_BACKLOG)
        return listener, address_of(settings)


def make_way(path: Path, *, is_shared: bool) -> None:
    """Remove the socket of an ended server, or of a running one if the path is shared.

    Raises:
        OSError: a running server listens there, or the path is not a socket.
    """
    try:
        is_socket = stat.S_ISSOCK(path.lstat().st_mode)
    except FileNotFoundError:
        return
    if not is_socket:
        raise OSError("there is something else than a socket")
    if not is_shared and _is_alive(path):
        raise OSError("another server listens there")
    path.unlink()


def identity_of(path: Path) -> tuple[int, int] | None:
    """Return what distinguishes a socket file from another one at the same path."""
    with contextlib.suppress(OSError):
        found = path.lstat()
        return found.st_dev, found.st_ino
    return None


def remove(path: Path, identity: tuple[int, int] | None) -> None:
    """Remove the socket that a frontend has made, unless another has taken its path."""
    if identity is not None and identity_of(path) == identity:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def for_owner_only() -> Iterator[None]:
    """Let files that are made meanwhile, in this whole process, be for their owner only."""
    before = os.umask(0o777 & ~_OWNER_ONLY)
    try:
        yield
    finally:
        os.umask(before)


def _listen(settings: FrontendSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    return socket.create_server(
        (settings.host, settings.port),
        family=family,
        backlog=_BACKLOG,
        reuse_port=settings.share_port,
    )


def _is_alive(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return False
    return True
