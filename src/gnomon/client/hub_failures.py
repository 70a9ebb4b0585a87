"""What a call to a hub that failed says: what was found at the URL, and what to use instead."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from gnomon.runtime import errors

_ERRORS_BY_CODE: Mapping[str, type[errors.GnomonError]] = {
    kind.code: kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.GnomonError)
}

_EXAMPLE = "http://127.0.0.1:8600"
_REST_PORT = "use the URL of the hub's REST interface (rest_port, 8600 by default)"
#: A part of the message of a failed connection → what it means.
_CAUSES = (
    ("CERTIFICATE_VERIFY_FAILED", "; give --authority-file, the certificates that verify it"),
    ("SSL:", "; if it does not speak TLS there, use http:// instead of https://"),
)


def check_url(url: str) -> None:
    """Check that a URL may be that of a hub.

    Raises:
        ConfigurationError: it has no scheme or host, or is malformed.
    """
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname)
        _ = parts.port, httpx.URL(url)
    except (ValueError, httpx.InvalidURL) as error:
        raise errors.ConfigurationError(f"{url!r} is no URL of a hub: {error}") from error
    if not is_usable:
        raise errors.ConfigurationError(f"{url!r} is no URL of a hub, such as {_EXAMPLE}")


def connection_error(url: str, error: httpx.TransportError) -> errors.HubUnavailable:
    """Return the error of a call that had no answer of HTTP."""
    if isinstance(error, httpx.RemoteProtocolError):
        return errors.HubUnavailable(
            f"hub {url} gave no answer of HTTP ({error}): it stopped, it speaks TLS (https://), or "
            f"the port is one for gRPC, as those of nodes (sync_port, enrolment_port) and of a "
            f"server's models are; {_REST_PORT}"
        )
    message = str(error) or type(error).__name__
    advice = next((text for part, text in _CAUSES if part in message), "")
    return errors.HubUnavailable(f"hub {url} cannot be reached: {message}{advice}")


def answer_error(
    http: httpx.Client, url: str, method: str, path: str, response: httpx.Response
) -> errors.GnomonError:
    """Return the error class that the hub raised, or an error that says that it is no hub.

    Args:
        http: makes one more call, to find out what answers there, if it seems to be no hub.
        url: of the hub.
        method: of the call.
        path: of the resource, below `/api/v1/`.
        response: a problem document, or the answer of something else.
    """
    problem = _json_object(response)
    kind = _ERRORS_BY_CODE.get(str(problem.get("code", "")))
    if kind is None and response.status_code == httpx.codes.NOT_FOUND:
        found = _what_answers(http, url)
        return errors.HubError(f"{url} has no /api/v1/{path}: {found}; {_REST_PORT}")
    detail = problem.get("detail") or problem.get("title")
    if not detail:
        return errors.HubError(f"{url} answered {method} {path} with {response.status_code}")
    return (kind or errors.HubError)(str(detail), details=problem.get("details") or ())


def json_answer(url: str, path: str, response: httpx.Response) -> Any:
    """Return the document of a good answer, or None if it is empty.

    Raises:
        HubError: it is not JSON, as a page of something else.
    """
    if not response.content:
        return None
    try:
        return response.json()
    except ValueError as error:
        kind = response.headers.get("content-type", "nothing that is named")
        raise errors.HubError(
            f"{url} is no hub: it answered /api/v1/{path} with {kind}, not JSON; {_REST_PORT}"
        ) from error


def _what_answers(http: httpx.Client, url: str) -> str:
    """Return what answers at a URL: servers of the Open Inference Protocol say who they are."""
    try:
        about = _json_object(http.get(f"{url}/v2"))
    except httpx.HTTPError:
        return "it is something else, or a hub of another version"
    if "name" in about:
        return f"it is no hub but an inference server ({str(about['name'])[:40]})"
    return "it is something else, or a hub of another version"


def _json_object(response: httpx.Response) -> Mapping[str, Any]:
    try:
        document = response.json()
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
