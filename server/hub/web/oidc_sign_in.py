"""Signing in to the web page by an issuer of OpenID Connect."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from gnomon.runtime.errors import GnomonError, NotFound, Unauthenticated
from gnomon.server.hub.access import sessions
from gnomon.server.hub.access.oidc import OidcSignIn, new_secret
from gnomon.server.hub.rest.guard import (
    OIDC_CALLBACK_PATH,
    OIDC_PATH,
    cookie_name,
    is_secure,
)
from gnomon.server.hub.web.rendering import render
from gnomon.server.hub.web.sign_in import set_session

oidc_router = APIRouter(include_in_schema=False)

#: How long somebody may take at the issuer.
_SECONDS = 600


@oidc_router.get(OIDC_PATH)
def begin(request: Request) -> Response:
    """Send the browser to the issuer, with a cookie by which its answer is recognised."""
    secret = new_secret()
    try:
        url = _issuer(request).begin(secret, _redirect_uri(request))
    except GnomonError as error:
        return _refusal(error)
    answer = RedirectResponse(url, 303, {"Cache-Control": "no-store"})
    # The issuer's answer comes from another site, to which browsers send no strict cookie.
    answer.set_cookie(
        _cookie(request),
        secret,
        max_age=_SECONDS,
        secure=is_secure(request),
        httponly=True,
        samesite="lax",
    )
    return answer


@oidc_router.get(OIDC_CALLBACK_PATH)
def finish(request: Request) -> Response:
    """Begin the session of whom the issuer names."""
    services = request.app.state.services
    secret = request.cookies.get(_cookie(request), "")
    address = request.client.host if request.client else ""
    answer: Response
    try:
        issuer = _issuer(request)
        if not secret:
            raise Unauthenticated("this sign-in was not begun in this browser; begin again")
        actor = services.callers.by_issuer(
            secret,
            address,
            lambda: issuer.finish(secret, _redirect_uri(request), dict(request.query_params)),
        )
        session = sessions.begin_granted(services.database, actor)
    except GnomonError as error:
        answer = _refusal(error)
    else:
        # A redirect from another site would not have the session's strict cookie.
        answer = render("signed_in.html")
        set_session(answer, request, session, sessions.GRANTED_SECONDS)
    answer.delete_cookie(_cookie(request), secure=is_secure(request), httponly=True, samesite="lax")
    return answer


def _refusal(error: GnomonError) -> Response:
    return render("sign_in.html", 403, link="", error=str(error), has_issuer=True)


def _issuer(request: Request) -> OidcSignIn:
    found: Any = request.app.state.services.oidc
    if found is None:
        raise NotFound("this hub has no issuer of OpenID Connect (oidc_issuer)", kind="issuer")
    issuer: OidcSignIn = found
    return issuer


def _redirect_uri(request: Request) -> str:
    """Return where the issuer sends the browser back; the guard has checked the Host header."""
    scheme = request.app.state.services.settings.scheme
    return f"{scheme}://{request.headers['host']}{OIDC_CALLBACK_PATH}"


def _cookie(request: Request) -> str:
    return cookie_name(request).replace("session", "oidc")
