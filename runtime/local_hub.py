"""How programs of the same user find the key of a hub that runs on this machine.

A running hub writes a record into a folder of its user: its REST address and its key file. It holds
a lock on the record while it lives. A reader of a record first checks that it belongs to the same
user, that no other user may read it, and that its hub still lives. Without that check, another user
could take the port of a hub that has ended, and receive its key.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from gnomon.runtime.decoding import UNDECODABLE
from gnomon.runtime.errors import StorageError

#: Names of this machine that no name server is asked for.
_LOCAL_NAME = "localhost"
_OTHERS = 0o077
_RECORD_BYTES = 16_384
_PORTS = {"http": 80, "https": 443}


class LocalHub(msgspec.Struct, frozen=True, kw_only=True):
    """A hub on this machine.

    Attributes:
        address: of its REST interface, http://127.0.0.1:8600.
        key_file: holds the key of callers of the same user.
        certificate_file: what it shows in TLS; empty without TLS.
        network: the network namespace that it listens in; 0 if the system has none.
    """

    address: str
    key_file: str
    certificate_file: str = ""
    network: int = msgspec.field(default_factory=lambda: _network())


class HubRecord:
    """The record of this process's hub; there until `remove`, or until the process ends."""

    def __init__(self, hub: LocalHub) -> None:
        """Write the record.

        Raises:
            StorageError: it cannot be written, or another process has one for this port.
        """
        try:
            self._path = _path_of(_port_of(hub.address))
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
            self._descriptor = os.open(self._path, flags, 0o600)
        except (OSError, RuntimeError) as error:
            raise StorageError(f"no record of this hub can be written: {error}") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.fchmod(self._descriptor, 0o600)
            os.ftruncate(self._descriptor, 0)
            os.write(self._descriptor, msgspec.json.encode(hub))
        except OSError as error:
            os.close(self._descriptor)
            raise StorageError(f"{self._path} cannot be written: {error}") from error

    def remove(self) -> None:
        """Remove the record."""
        with contextlib.suppress(OSError):
            self._path.unlink()
        os.close(self._descriptor)


def find_local_hub(url: str) -> LocalHub | None:
    """Return the hub of this user that answers at a URL of this machine, or None."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", _port_of(url)
    except ValueError:
        return None
    found = _read(port)
    if found is None or found.network != _network():
        return None
    own = urlsplit(found.address)
    # `localhost` may lead to another address than the hub's; the caller uses the record's.
    is_same = own.scheme == parts.scheme and host in (_LOCAL_NAME, own.hostname)
    return found if is_same else None


def read_key(hub: LocalHub) -> str | None:
    """Return the key of a hub's key file, or None if it cannot be read."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return Path(hub.key_file).read_text(encoding="ascii").strip()
    return None


def _read(port: int) -> LocalHub | None:
    with contextlib.suppress(OSError, RuntimeError, *UNDECODABLE), _opened(port) as descriptor:
        status = os.fstat(descriptor)
        if status.st_uid != os.getuid() or status.st_mode & _OTHERS or not _is_held(descriptor):
            return None
        return msgspec.json.decode(os.read(descriptor, _RECORD_BYTES), type=LocalHub)
    return None


@contextlib.contextmanager
def _opened(port: int) -> Iterator[int]:
    descriptor = os.open(_path_of(port), os.O_RDONLY | os.O_NOFOLLOW)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _is_held(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _path_of(port: int) -> Path:
    state = os.environ.get("XDG_STATE_HOME", "")
    folder = Path(state) if state.startswith("/") else Path.home() / ".local" / "state"
    return folder / "gnomon" / "hubs" / f"{port}.json"


def _port_of(url: str) -> int:
    parts = urlsplit(url)
    return parts.port or _PORTS.get(parts.scheme, 0)


def _network() -> int:
    """Return which network namespace this is: in another one, loopback leads to other programs."""
    with contextlib.suppress(OSError):
        return Path("/proc/self/ns/net").stat().st_ino
    return 0
