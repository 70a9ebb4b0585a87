"""TLS of a REST port, renewed without a restart.

The web server keeps its first TLS context. At each handshake, that context switches to the current
one, before a certificate is sent or requested.
"""

import ssl
from pathlib import Path
from typing import Any

from gnomon.runtime.errors import ConfigurationError
from gnomon.server.rest.certificates import Follower, HandshakeLog, TlsFiles
from gnomon.server.rest.ciphers import restrict


class RestTls:
    """The TLS context of the files, reloaded when they change; none if TLS is off."""

    def __init__(self, files: TlsFiles | None) -> None:
        self._files = files
        self._present: ssl.SSLContext | None = None
        self._follower: Follower | None = None
        self._handshakes = HandshakeLog("rest")

    @property
    def options(self) -> dict[str, Any]:
        """Return uvicorn's options.

        Raises:
            ConfigurationError: the files are not to be used.
        """
        if self._files is None:
            return {}
        _read(*self._files)
        certificate, key, authority = self._files
        options: dict[str, Any] = {"ssl_certfile": str(certificate), "ssl_keyfile": str(key)}
        if authority is not None:
            options |= {"ssl_ca_certs": str(authority), "ssl_cert_reqs": ssl.CERT_REQUIRED}
        return options

    def follow(self, first: ssl.SSLContext) -> None:
        """Let the web server's context hand over to newer ones, until `stop`."""
        first.sni_callback = self._hand_over
        first.sslobject_class = _watched(self._handshakes)
        self._follower = Follower(self._files, self._renew, self._handshakes.report)

    def stop(self) -> None:
        """Follow no more."""
        if self._follower is not None:
            self._follower.stop()

    def _hand_over(self, connection: Any, _name: str | None, _first: ssl.SSLContext) -> None:
        if self._present is not None:
            connection.context = self._present

    def _renew(self) -> None:
        if self._files is not None:
            self._present = _read(*self._files)


def _read(certificate: Path, key: Path, authority: Path | None) -> ssl.SSLContext:
    """Return a context of the files; raises `ConfigurationError` if they cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # An encrypted key must not wait for a password at a terminal.
        context.load_cert_chain(certificate, key, password="")
        if authority is not None:
            context.load_verify_locations(authority)
            context.verify_mode = ssl.CERT_REQUIRED
        restrict(context)
    except (OSError, ValueError) as error:
        files = ", ".join(str(file) for file in (certificate, key, authority) if file)
        raise ConfigurationError(f"TLS cannot begin with {files}: {error}") from error
    return context


def _watched(log: HandshakeLog) -> type[ssl.SSLObject]:
    """Return a kind of connection that counts its failed handshake; asyncio keeps it to itself."""

    class WatchedConnection(ssl.SSLObject):
        """One connection."""

        def do_handshake(self) -> None:
            """Go on with the handshake."""
            try:
                super().do_handshake()
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError, ssl.SSLEOFError):
                raise
            except ssl.SSLError as error:
                log.add(1, getattr(error, "verify_message", "") or error.reason or str(error))
                raise

    return WatchedConnection
