"""The route of sign-in links: a program that has a key begins a browser's session by one."""

from fastapi import APIRouter

from gnomon.server.hub.access import sessions
from gnomon.server.hub.rest.answers import SignInLink
from gnomon.server.hub.rest.dependencies import ActorDependency, DatabaseDependency

links_router = APIRouter(tags=["principals"])


@links_router.post("/sign-in-links", status_code=201)
def create_sign_in_link(database: DatabaseDependency, actor: ActorDependency) -> SignInLink:
    """Make a link to the web page that signs in as the caller, once, within ten minutes."""
    link = sessions.create_link(database, actor.name)
    return SignInLink(f"/sign-in?link={link}", sessions.LINK_SECONDS)
