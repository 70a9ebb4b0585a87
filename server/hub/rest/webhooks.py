"""Routes of webhooks and their deliveries."""

from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Query

from gnomon.server.hub.rest.answers import CreatedWebhook, Removal, RetriedDelivery
from gnomon.server.hub.rest.bodies import WebhookBody
from gnomon.server.hub.rest.dependencies import (
    ActorDependency,
    DatabaseDependency,
    ServicesDependency,
)
from gnomon.server.hub.store.rights import Role, parse_grant
from gnomon.server.hub.webhooks import targets
from gnomon.server.hub.webhooks.delivery_addresses import check_url, resolve
from gnomon.server.hub.webhooks.events import check_events
from gnomon.server.hub.webhooks.formats import WebhookFormat, check_format

webhooks_router = APIRouter(tags=["webhooks"])

_Limit = Annotated[int, Query(ge=1, le=1_000)]


@webhooks_router.get("/webhooks")
def list_webhooks(database: DatabaseDependency) -> list[targets.WebhookRecord]:
    """List the webhooks with how many deliveries wait or are dead; never a secret."""
    with database.read() as connection:
        return targets.listing(connection)


@webhooks_router.post("/webhooks", status_code=201)
def add_webhook(
    body: WebhookBody,
    database: DatabaseDependency,
    services: ServicesDependency,
    actor: ActorDependency,
) -> CreatedWebhook:
    """Send events from now on to a URL; the secret that signs deliveries is shown only now."""
    actor.check("add_webhook")  # before a name is looked up for somebody
    parse_grant(Role.OPERATOR, body.models)
    form = WebhookFormat(body.format)
    parts = check_url(body.url)
    events = check_events(check_format(form, body.url, body.events))
    with suppress(OSError):  # a name not known yet may be known when there is something to tell
        resolve(parts, services.settings.networks, services.addresses.ports)
    with database.change(actor) as change:
        secret = targets.add(
            change, body.name, body.url, events, body.models, services.webhook_secrets, form
        )
    return CreatedWebhook(body.name, events, body.models, secret)


@webhooks_router.delete("/webhooks/{name}")
def remove_webhook(name: str, database: DatabaseDependency, actor: ActorDependency) -> Removal:
    """Remove a webhook."""
    with database.change(actor) as change:
        targets.remove(change, name)
    return Removal(name, removed=True)


@webhooks_router.get("/webhooks/{name}/deliveries")
def list_deliveries(
    name: str, database: DatabaseDependency, state: str | None = None, limit: _Limit = 100
) -> list[targets.DeliveryRecord]:
    """List a webhook's deliveries, newest first; `state`: waiting, delivered or dead."""
    with database.read() as connection:
        return targets.deliveries(connection, name, state, limit)


@webhooks_router.post("/webhooks/{name}/deliveries/{delivery}/retry")
def retry_delivery(
    name: str, delivery: str, database: DatabaseDependency, actor: ActorDependency
) -> RetriedDelivery:
    """Try a dead delivery again."""
    with database.change(actor) as change:
        targets.retry(change, name, delivery)
    return RetriedDelivery(name, delivery, "waiting")


@webhooks_router.post("/webhooks/{name}/test", status_code=201)
def test_webhook(
    name: str, database: DatabaseDependency, actor: ActorDependency
) -> RetriedDelivery:
    """Send a test, whatever the webhook's events; its deliveries say how it ended."""
    with database.change(actor) as change:
        delivery = targets.test(change, name)
    return RetriedDelivery(name, delivery, "waiting")
