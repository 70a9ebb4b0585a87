"""Authentication of callers, the same for every frontend.

If no credentials are configured, a frontend serves loopback, or callers with a client certificate
from the TLS handshake; either is enough. With a file of API keys, or of an issuer's keys for
tokens, every caller needs one: `Authorization: Bearer <key or token>`. Callers on this machine need
one too, since a local proxy may forward calls of anyone. Key and token name the caller and the
routes that it may use. Changes of the files take effect at once.

Authenticated callers are cached (`CredentialCache`). A key is hashed, or a signature checked, only
once, and the native loops find callers without Python.
"""

import contextlib
import math
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from gnomon.runtime.errors import ConfigurationError, NotAllowed, Unauthenticated
from gnomon.server.serving.admission.clients import Clients
from gnomon.server.serving.admission.credential_cache import CredentialCache
from gnomon.server.serving.admission.key_file import (
    ALL_MODELS,
    LOCAL_NAME,
    hash_key,
    is_reserved,
    read_keys,
)

#: Files are looked at no more often.
CHECK_SECONDS = 0.5
#: Seconds without a check of the files after which no cached credential is accepted.
LEASE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller's name, and the routes that it may use."""

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
                f"it is for {', '.join(self.models) or 'none'}"
            )


#: Any caller on this machine, if no keys are configured.
LOCAL = Caller(LOCAL_NAME)


class VerifiedCaller(NamedTuple):
    """A caller, and until when what they have shown holds, in epoch seconds."""

    caller: Caller
    expires: float = math.inf


class Credentials(Protocol):
    """One kind of credentials, checked against a file."""

    file: Path

    def load(self) -> None:
        """Read the file.

        Raises:
            ConfigurationError: it cannot be used.
        """

    def names(self) -> Sequence[str]:
        """Return the callers that are known beforehand."""

    def believe(self, shown: str) -> VerifiedCaller | None:
        """Return the caller of a credential; None if it is of another kind or unknown.

        Raises:
            Unauthenticated: it is of this kind, but not valid.
        """


class Keys:
    """The API keys of a file."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._callers: Mapping[str, Caller] = {}

    def load(self) -> None:
        """Read the file.

        Raises:
            ConfigurationError: it is not a file of keys.
        """
        self._callers = {key.sha256: Caller(key.name, key.models) for key in read_keys(self.file)}

    def names(self) -> Sequence[str]:
        """Return whose keys they are."""
        return [caller.name for caller in self._callers.values()]

    def believe(self, shown: str) -> VerifiedCaller | None:
        """Return whose key this is, or None."""
        caller = self._callers.get(hash_key(shown))
        return None if caller is None else VerifiedCaller(caller)


class Authentication:
    """Identifies callers by keys, tokens or certificates. Threads may share it.

    With `needs_certificate`, TLS has verified a certificate of every caller. The name `local`
    is reserved for callers of this machine without a credential.

    Raises:
        ConfigurationError: a file cannot be read. If one becomes unreadable later, all callers are
            rejected until it can be read again.
    """

    def __init__(
        self,
        keys_file: Path | None,
        *others: Credentials,
        clients: Clients | None = None,
        needs_certificate: bool = False,
    ) -> None:
        self._needs_certificate = needs_certificate
        own = () if keys_file is None else (Keys(keys_file),)
        self._credentials: tuple[Credentials, ...] = (*own, *others)
        self._clients = clients or Clients()
        self._lock = threading.Lock()
        self._stamps: list[tuple[int, int, int]] | None = None
        self._checked = float("-inf")
        self.credentials = CredentialCache()
        if self._credentials:
            self._load()

    @property
    def needs_keys(self) -> bool:
        """Whether callers must show a key or a token."""
        return bool(self._credentials)

    def identify(self, authorization: str | None, certificate_name: str | None = None) -> Caller:
        """Return the caller, by the `authorization` header and the verified certificate's name.

        Raises:
            Unauthenticated: a key is needed, and it is missing or unknown; or the name is reserved.
        """
        if not self._credentials and not certificate_name and not self._needs_certificate:
            return LOCAL
        self.reload_if_changed()
        header = authorization if self._credentials and authorization else ""
        if not header.isascii():
            raise Unauthenticated("an API key has no other characters than those of ASCII")
        shown = header.encode(), (certificate_name or "").encode(errors="surrogateescape")
        generation = self.credentials.generation
        known = self.credentials.find(*shown, time.time(), time.monotonic())
        if known is not None:
            return known
        believed = self._believe(header, certificate_name)
        if is_reserved(believed.caller.name):
            raise Unauthenticated(
                f"a caller with a credential is not called {LOCAL.name!r}, nor ''"
            )
        place = self._clients.place(believed.caller.name)
        self.credentials.learn(*shown, believed.caller, place, believed.expires, generation)
        return believed.caller

    def reload_if_changed(self) -> None:
        """Read the files again if they have changed; call it regularly.

        Raises:
            Unauthenticated: one cannot be read; all callers are rejected until it can.
        """
        now = time.monotonic()
        if not self._credentials or now - self._checked < CHECK_SECONDS:
            return
        with self._lock:
            self._checked = now
            try:
                if self._stamps_now() != self._stamps:
                    self._load()
            except (OSError, ConfigurationError) as error:
                self._stamps = None
                self.credentials.forget()
                raise Unauthenticated("no API key can be checked at the moment") from error
            self.credentials.valid_until(now + LEASE_SECONDS)

    def _believe(self, header: str, certificate_name: str | None) -> VerifiedCaller:
        if not self._credentials:
            return VerifiedCaller(Caller(certificate_name or ""))
        scheme, _, key = header.partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise Unauthenticated("an API key is needed: Authorization: Bearer <key>")
        if self._stamps is None:
            raise Unauthenticated("no API key can be checked at the moment")
        for one in self._credentials:
            believed = one.believe(key.strip())
            if believed is not None:
                return believed
        raise Unauthenticated("the API key is unknown; it may have been revoked")

    def _load(self) -> None:
        stamps = None
        with contextlib.suppress(OSError):
            stamps = self._stamps_now()
        for one in self._credentials:
            one.load()
        self._stamps = stamps
        self.credentials.forget()
        for one in self._credentials:
            for name in one.names():
                self._clients.place(name)

    def _stamps_now(self) -> list[tuple[int, int, int]]:
        found = [one.file.stat() for one in self._credentials]
        return [(one.st_mtime_ns, one.st_size, one.st_ino) for one in found]
