"""Signing in to the web page, by an API key or a link, and out again."""

import hmac
from typing import Annotated
from urllib.parse import parse_qs

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from gnomon.runtime.errors import GnomonError, InvalidInput, NotAllowed
from gnomon.server.hub.access import sessions
from gnomon.server.hub.access.callers import Callers
from gnomon.server.hub.rest.guard import SIGN_IN_PATH, SIGN_OUT_PATH, cookie_name, is_secure
from gnomon.server.hub.store.database import Database
from gnomon.server.hub.web.rendering import render

sign_in_router = APIRouter(include_in_schema=False)

_FORM_BYTES = 16_384
_FIELDS = 16
_LINK_CHARACTERS = 128


async def read_form(request: Request) -> dict[str, str]:
    """Return the fields of a form; of a field that comes more than once, the first value.

    Raises:
        InvalidInput: it is no form, or too long.
    """
    try:
        body = await request.body()
        if len(body) > _FORM_BYTES:
            raise InvalidInput(f"a form has at most {_FORM_BYTES} bytes")
        fields = parse_qs(body.decode("ascii"), max_num_fields=_FIELDS, errors="strict")
    except ValueError as error:
        raise InvalidInput("the body should be a form") from error
    return {name: values[0] for name, values in fields.items()}


async def check_form(request: Request) -> None:
    """Check that a form of a session holds its CSRF token; programs with a key need none.

    Raises:
        NotAllowed: it does not.
    """
    session = request.state.session
    if session is None:
        return
    shown = (await read_form(request)).get("csrf", "")
    if not hmac.compare_digest(shown.encode(), sessions.csrf_token(session).encode()):
        raise NotAllowed("the form is not of this session; load the page again")


@sign_in_router.get(SIGN_IN_PATH)
def show_sign_in(
    request: Request,
    link: Annotated[str, Query(max_length=_LINK_CHARACTERS)] = "",
) -> HTMLResponse:
    """Show the form; with a link, only its button."""
    return render("sign_in.html", link=link, error="", has_issuer=_has_issuer(request))


@sign_in_router.post(SIGN_IN_PATH)
async def sign_in(request: Request) -> Response:
    """Begin a session, whose secret is in a cookie that only the hub's own pages send."""
    form = await read_form(request)
    address = request.client.host if request.client else ""
    services = request.app.state.services
    try:
        secret = await run_in_threadpool(_begin, services.callers, services.database, form, address)
    except GnomonError as error:
        has_issuer = _has_issuer(request)
        return render("sign_in.html", 403, link="", error=str(error), has_issuer=has_issuer)
    answer = RedirectResponse("/", 303)
    set_session(answer, request, secret, sessions.SESSION_SECONDS)
    return answer


def set_session(answer: Response, request: Request, secret: str, seconds: int) -> None:
    """Put a session into a cookie that only the hub's own pages send.

    Args:
        answer: to the browser.
        request: of the browser.
        secret: of the session.
        seconds: how long it lasts.
    """
    answer.set_cookie(
        cookie_name(request),
        secret,
        max_age=seconds,
        secure=is_secure(request),
        httponly=True,
        samesite="strict",
    )


def _has_issuer(request: Request) -> bool:
    return request.app.state.services.oidc is not None


@sign_in_router.post(SIGN_OUT_PATH, dependencies=[Depends(check_form)])
async def sign_out(request: Request) -> RedirectResponse:
    """End the session."""
    session = request.state.session
    if session is not None:
        await run_in_threadpool(sessions.end, request.app.state.services.database, session)
    answer = RedirectResponse(SIGN_IN_PATH, 303)
    answer.delete_cookie(
        cookie_name(request), secure=is_secure(request), httponly=True, samesite="strict"
    )
    return answer


def _begin(callers: Callers, database: Database, form: dict[str, str], address: str) -> str:
    if form.get("link"):
        name = sessions.use_link(database, form["link"])
    else:
        name = callers.of_key(form.get("key", "").strip(), address).name
    return sessions.begin(database, name)
