"""Pages for people: server-rendered, escaped, and readable without script.

The script only fetches the same page again and replaces what has changed, so that the reader keeps
the scroll position. Nothing comes from another host, and a header makes the browser refuse it.
"""

from importlib.resources import files
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from gnomon.runtime.errors import NotFound, UnknownModel
from gnomon.server.hub.monitoring import alerts
from gnomon.server.hub.rest.dependencies import ActorDependency, DatabaseDependency
from gnomon.server.hub.rollout import rollouts, steering
from gnomon.server.hub.web import views
from gnomon.server.hub.web.rendering import render
from gnomon.server.hub.web.sign_in import check_form

web_router = APIRouter(include_in_schema=False)

_ASSETS = {"page.css": "text/css", "live.js": "text/javascript", "icon.svg": "image/svg+xml"}


@web_router.get("/")
def show_overview(request: Request, database: DatabaseDependency) -> HTMLResponse:
    """Show all models, nodes, alerts and rollouts."""
    with database.read() as connection:
        view = views.overview(connection)
    return render("overview.html", request=request, **view)


@web_router.get("/models/{name}")
def show_model(
    request: Request, name: Annotated[str, Path(max_length=64)], database: DatabaseDependency
) -> HTMLResponse:
    """Show one model."""
    try:
        with database.read() as connection:
            view = views.model_page(connection, name)
    except UnknownModel as error:
        return render("missing.html", 404, request, text=str(error))
    return render("model.html", request=request, **view)


@web_router.get("/assets/{name}")
def send_asset(name: str) -> Response:
    """Send the style sheet, the script or the icon."""
    kind = _ASSETS.get(name)
    if kind is None:
        raise NotFound(f"there is no asset {name[:64]!r}", kind="asset")
    data = files("gnomon.server.hub.web").joinpath("assets", name).read_bytes()
    return Response(data, media_type=kind, headers={"X-Content-Type-Options": "nosniff"})


@web_router.post("/alerts/{alert_id}/acknowledge", dependencies=[Depends(check_form)])
def acknowledge(
    alert_id: str, request: Request, database: DatabaseDependency, actor: ActorDependency
) -> RedirectResponse:
    """Acknowledge an alert and go back."""
    with database.change(actor) as change:
        alerts.acknowledge(change, alert_id)
    return _back(request)


@web_router.post("/alerts/{alert_id}/close", dependencies=[Depends(check_form)])
def close(
    alert_id: str, request: Request, database: DatabaseDependency, actor: ActorDependency
) -> RedirectResponse:
    """Close an alert and go back."""
    with database.change(actor) as change:
        alerts.close(change, alert_id, "closed on the page")
    return _back(request)


@web_router.post("/rollouts/{rollout_id}/abort", dependencies=[Depends(check_form)])
def abort(
    rollout_id: str, request: Request, database: DatabaseDependency, actor: ActorDependency
) -> RedirectResponse:
    """Abort a rollout and go back."""
    with database.change(actor) as change:
        rollouts.abort(change, rollout_id, f"aborted by {actor} on the page")
    return _back(request)


@web_router.post("/rollouts/{rollout_id}/{action}", dependencies=[Depends(check_form)])
def steer(
    rollout_id: str,
    action: Literal["pause", "resume", "promote"],
    request: Request,
    database: DatabaseDependency,
    actor: ActorDependency,
) -> RedirectResponse:
    """Pause, resume or promote a rollout and go back."""
    steps = {"pause": steering.pause, "resume": steering.resume, "promote": steering.promote}
    with database.change(actor) as change:
        steps[action](change, rollout_id, "on the page")
    return _back(request)


def _back(request: Request) -> RedirectResponse:
    """Go to the page that the form was on; only ever to one of ours."""
    model = request.query_params.get("model", "")
    safe = model.replace("_", "").replace("-", "").isalnum() and model.isascii()
    return RedirectResponse(f"/models/{model}" if safe else "/", 303)
