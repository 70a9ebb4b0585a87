"""Calls of an issuer of OpenID Connect, bounded in time and size."""

from collections.abc import Mapping

import httpx

from gnomon.runtime.errors import ConfigurationError, NotReady, Unauthenticated
from gnomon.server.hub.oidc_settings import OidcSettings

_SECONDS = 10.0
_BYTES = 1 << 20
_OK = 200


class IssuerClient:
    """Calls one issuer, as the hub's client there. Safe to share between threads.

    Raises:
        ConfigurationError: the file of the client's secret cannot be read.
    """

    def __init__(self, settings: OidcSettings) -> None:
        self._auth: httpx.BasicAuth | None = None
        if settings.client_secret_file is not None:
            try:
                secret = settings.client_secret_file.read_text(encoding="utf-8").strip()
            except (OSError, ValueError) as error:
                raise ConfigurationError(f"oidc_client_secret_file: {error}") from error
            self._auth = httpx.BasicAuth(settings.client_id, secret)
        self._client = httpx.Client(timeout=_SECONDS, follow_redirects=False)

    def get(self, url: str) -> bytes:
        """Return a document.

        Raises:
            NotReady: the issuer cannot be reached.
            Unauthenticated: it answers anything but such a document.
        """
        return self._call("GET", url)

    def post(self, url: str, form: Mapping[str, str]) -> bytes:
        """Return the answer to a form, with the client's secret; raises as `get`."""
        return self._call("POST", url, form)

    def _call(self, method: str, url: str, form: Mapping[str, str] | None = None) -> bytes:
        body = bytearray()
        auth = None if form is None else self._auth
        try:
            with self._client.stream(method, url, data=form, auth=auth) as answer:
                for part in answer.iter_bytes():
                    body += part
                    if len(body) > _BYTES:
                        raise Unauthenticated(f"the issuer sends more than {_BYTES} bytes")
                if answer.status_code != _OK:
                    raise Unauthenticated(f"the issuer answers with status {answer.status_code}")
        except httpx.HTTPError as error:
            raise NotReady(f"the issuer cannot be reached: {error}") from error
        return bytes(body)
