"""Pages from templates, with the headers that bound what a browser does with them."""

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from gnomon.server.hub.access import sessions
from gnomon.server.hub.web.filters import FILTERS, share

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
        "img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("gnomon.server.hub.web"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(FILTERS)
    environment.globals["share"] = share
    return environment


_TEMPLATES = _environment()


def render(
    template: str, status: int = 200, request: Request | None = None, **values: object
) -> HTMLResponse:
    """Return a page.

    Args:
        template: file name of the template.
        status: the HTTP status.
        request: the browser's, which has the session; None: a page before signing in.
        values: what the template shows.
    """
    session = None if request is None else request.state.session
    common = {
        "actor": None if request is None else request.state.actor,
        "csrf": "" if session is None else sessions.csrf_token(session),
        "has_session": session is not None,
    }
    text = _TEMPLATES.get_template(template).render(common | values)
    return HTMLResponse(text, status, headers=_HEADERS)
