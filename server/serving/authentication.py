"""Who asks, decided in one place for every door.

Without a file of keys, a door is open only on loopback, or to those who show a client certificate
in the TLS handshake; either is enough. With one, a key is needed from everybody, from this machine
too, since a proxy here may speak for anybody: `Authorization: Bearer <key>`. A key holds for the
routes that it was made for. A key that is revoked or added holds at once: the file is looked at
again when it changes.
"""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gnomon.runtime.errors import ConfigurationError, NotAllowed, Unauthenticated
from gnomon.server.serving.key_file import ALL_MODELS, hash_key, read_keys

#: The file is looked at no more often.
LOOK_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and which routes they may ask."""

    name: str
    models: tuple[str, ...] = (ALL_MODELS,)

    def check(self, model: str) -> None:
        """Refuse a route that the caller's key was not made for.

        Raises:
            NotAllowed: it was not.
        """
        if ALL_MODELS not in self.models and model not in self.models:
            raise NotAllowed(
                f"the key of {self.name!r} is not for model {model[:80]!r}; "
                f"it is for {', '.join(self.models)}"
            )


#: Whoever is on this machine, where no keys are asked for.
LOCAL = Caller("local")


class Authentication:
    """Tells callers by their keys or certificates. Threads may share it.

    Raises:
        ConfigurationError: the file of keys cannot be read. A file that becomes unreadable later
            lets nobody in until it can be read again.
    """

    def __init__(self, keys_file: Path | None) -> None:
        self._file = keys_file
        self._lock = threading.Lock()
        self._stamp: tuple[int, int, int] | None = None
        self._looked = float("-inf")
        self._callers: Mapping[str, Caller] = {}
        if keys_file is not None:
            self._load(keys_file)

    @property
    def needs_keys(self) -> bool:
        """Whether callers must show a key."""
        return self._file is not None

    def identify(self, authorization: str | None, certificate_name: str | None = None) -> Caller:
        """Return who asks, by the `authorization` header and the verified certificate's name.

        Raises:
            Unauthenticated: a key is needed, and none or an unknown one was shown.
        """
        if self._file is None:
            return Caller(certificate_name) if certificate_name else LOCAL
        self._look(self._file)
        scheme, _, key = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise Unauthenticated("an API key is needed: Authorization: Bearer <key>")
        caller = self._callers.get(hash_key(key.strip()))
        if caller is None:
            raise Unauthenticated("the API key is not known here; it may have been revoked")
        return caller

    def _look(self, file: Path) -> None:
        """Read the file again where it has changed."""
        now = time.monotonic()
        if now - self._looked < LOOK_SECONDS:
            return
        with self._lock:
            self._looked = now
            try:
                if _stamp_of(file) != self._stamp:
                    self._load(file)
            except (OSError, ConfigurationError) as error:
                self._callers, self._stamp = {}, None
                raise Unauthenticated("no API key can be checked at the moment") from error

    def _load(self, file: Path) -> None:
        stamp = _stamp_of(file) if file.exists() else None
        self._callers = {key.sha256: Caller(key.name, key.models) for key in read_keys(file)}
        self._stamp = stamp


def _stamp_of(file: Path) -> tuple[int, int, int]:
    found = file.stat()
    return found.st_mtime_ns, found.st_size, found.st_ino
