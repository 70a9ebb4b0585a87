"""A client of a hub's REST interface, for programs and the command line."""

import ssl
from pathlib import Path
from typing import Any, Self

import httpx

from gnomon.client import hub_failures
from gnomon.runtime import errors
from gnomon.runtime.local_hub import LocalHub, find_local_hub, read_key

#: A connection that was idle for longer is not used again: the hub closes it after five seconds,
#: and a call at that moment would be lost.
_IDLE_SECONDS = 2.0


class HubClient:
    """A hub at a URL, for example `http://127.0.0.1:8600`.

    Without an `api_key`, a hub of the same user on this machine is called with the key of its data
    folder. Every call raises the typed error that the hub answered with, or `HubUnavailable`.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        authority_file: Path | None = None,
        timeout_seconds: float = 10,
    ) -> None:
        """Name a hub; nothing is sent before the first call.

        Args:
            url: of its REST interface.
            api_key: sent with every call.
            authority_file: certificates by which its TLS is verified, PEM; None for those that are
                usual. A hub of the same user on this machine is verified by its own certificate.
            timeout_seconds: of each call.

        Raises:
            ConfigurationError: the URL has no scheme or host, or is malformed.
        """
        hub_failures.check_url(url)
        self.url = url.rstrip("/")
        self._api_key = api_key
        self._authority_file = authority_file
        self._timeout_seconds = timeout_seconds
        self._http: httpx.Client | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        if self._http is not None:
            self._http.close()

    def get(self, path: str, **parameters: Any) -> Any:
        """Return the resource at `path`, for example `nodes`."""
        return self._call("GET", path, params=parameters)

    def post(self, path: str, body: Any = None) -> Any:
        """Request a change; return the answer."""
        return self._call("POST", path, json={} if body is None else body)

    def delete(self, path: str) -> Any:
        """Delete the resource at `path`; return the answer."""
        return self._call("DELETE", path)

    def download(self, path: str, file: Path) -> None:
        """Stream the resource at `path` to a new file.

        Raises:
            HubUnavailable: the connection was lost; then there is no file.
        """
        partial = file.with_name(f".{file.name}.partial")
        try:
            http, url, headers = self._prepare(path)
            with (
                http.stream("GET", url, headers=headers) as response,
                partial.open("wb") as out,
            ):
                if not response.is_success:
                    response.read()
                    raise hub_failures.answer_error(http, self.url, "GET", path, response)
                for data in response.iter_bytes():
                    out.write(data)
            partial.rename(file)
        except httpx.TransportError as error:
            raise hub_failures.connection_error(self.url, error) from error
        finally:
            partial.unlink(missing_ok=True)

    def _call(self, method: str, path: str, **arguments: Any) -> Any:
        http, url, headers = self._prepare(path)
        try:
            response = http.request(method, url, headers=headers, **arguments)
        except httpx.TransportError as error:
            raise hub_failures.connection_error(self.url, error) from error
        if response.is_success:
            return hub_failures.json_answer(self.url, path, response)
        raise hub_failures.answer_error(http, self.url, method, path, response)

    def _prepare(self, path: str) -> tuple[httpx.Client, str, dict[str, str]]:
        """Return client, URL and headers of a call; a local hub is looked up each time."""
        found = find_local_hub(self.url)
        base, key = self.url, self._api_key
        if found is not None and key is None:
            base, key = found.address, read_key(found)
        if self._http is None:
            self._http = httpx.Client(
                verify=self._trust(found),
                timeout=self._timeout_seconds,
                trust_env=False,
                limits=httpx.Limits(keepalive_expiry=_IDLE_SECONDS),
            )
        headers = {"authorization": f"Bearer {key}"} if key else {}
        return self._http, f"{base}/api/v1/{path}", headers

    def _trust(self, local: LocalHub | None) -> ssl.SSLContext | bool:
        """Return what the hub's certificate is verified by; True for the usual authorities."""
        own = local.certificate_file if local is not None else ""
        file = self._authority_file or own
        if not file:
            return True
        try:
            context = ssl.create_default_context(cafile=file)
        except (OSError, ValueError) as error:
            raise errors.ConfigurationError(f"{file} holds no certificates: {error}") from error
        if not self._authority_file:
            # The record names this very certificate, whatever hosts are in it.
            context.check_hostname = False
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        return context
