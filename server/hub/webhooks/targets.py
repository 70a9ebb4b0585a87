"""Webhooks that operators set: their URL, events, and the secret that signs deliveries."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import Connection, func, insert, select, update

from gnomon.runtime.errors import Conflict, NotFound
from gnomon.server.hub.store import counters, schema
from gnomon.server.hub.store.change import Change
from gnomon.server.hub.store.clock import new_id, now_ms
from gnomon.server.hub.store.database import Database
from gnomon.server.hub.webhooks.delivery_addresses import origin_of
from gnomon.server.hub.webhooks.events import TEST
from gnomon.server.hub.webhooks.formats import WebhookFormat
from gnomon.server.hub.webhooks.queue import DeliveryState, new_delivery
from gnomon.server.hub.webhooks.signing_secrets import SigningSecrets, is_clear

_log = structlog.get_logger(__name__)

_WEBHOOK = schema.webhook.c
_DELIVERY = schema.delivery.c
_SHOWN_DELIVERIES = (
    _DELIVERY.id,
    _DELIVERY.sequence,
    _DELIVERY.event,
    _DELIVERY.state,
    _DELIVERY.attempts,
    _DELIVERY.created_at,
    _DELIVERY.next_at,
    _DELIVERY.ended_at,
    _DELIVERY.error,
)


def add(
    change: Change,
    name: str,
    url: str,
    events: Sequence[str],
    models: str,
    secrets: SigningSecrets,
    form: WebhookFormat = WebhookFormat.GNOMON,
) -> str:
    """Set a webhook in the caller's change, for what happens from now on; return its secret.

    The URL and the events have been checked. The secret is shown only now; deliveries are signed
    with it.

    Args:
        change: the caller's open transaction; its audit record is part of it.
        name: of the webhook, unique.
        url: that deliveries are posted to.
        events: patterns of event names, such as `version.*`.
        models: pattern of models' names.
        secrets: of the hub's webhooks.
        form: of the bodies; the events have been checked against it.

    Raises:
        Conflict: if there is a webhook of this name.
    """
    if change.connection.scalar(select(_WEBHOOK.id).where(_WEBHOOK.name == name, _is_set())):
        raise Conflict(f"there is a webhook {name!r} already")
    webhook = new_id()
    change.execute(
        insert(schema.webhook).values(
            id=webhook,
            name=name,
            url=url,
            events=list(events),
            models=models,
            secret="",
            since=counters.read(change.connection, counters.AUDIT),
            created_at=now_ms(),
            actor=change.actor,
            format=form.value,
        )
    )
    detail = {"target": origin_of(url), "events": list(events), "models": models, "format": form}
    change.audit("add_webhook", name, detail)
    return secrets.of(webhook)


def seal_secrets(database: Database, secrets: SigningSecrets) -> None:
    """Seal the secrets that an earlier version stored in clear text; one that is not of it stays.

    What the file of SQLite held before is overwritten.
    """
    stored = select(_WEBHOOK.id, _WEBHOOK.secret).where(_WEBHOOK.secret != "")
    with database.read() as connection:
        if not any(is_clear(row.secret) for row in connection.execute(stored)):
            return
    sealed = 0
    with database.write() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA secure_delete=ON")
        for webhook, secret in connection.execute(stored).all():
            with suppress(ValueError):
                value = secret if not is_clear(secret) else secrets.seal(webhook, secret)
                sealed += value != secret
                connection.execute(
                    update(schema.webhook).where(_WEBHOOK.id == webhook).values(secret=value)
                )
    database.truncate_log()
    _log.info("webhook_secrets_sealed", webhooks=sealed)


def remove(change: Change, name: str) -> None:
    """Remove a webhook; its waiting deliveries are dropped.

    Raises:
        NotFound: if there is no webhook of this name.
    """
    webhook = _find(change.connection, name)
    change.execute(
        update(schema.webhook)
        .where(_WEBHOOK.id == webhook)
        .values(removed_at=now_ms(), url="", secret="")
    )
    change.execute(
        update(schema.delivery)
        .where(_DELIVERY.webhook == webhook, _DELIVERY.state == DeliveryState.WAITING.value)
        .values(state=DeliveryState.DEAD.value, ended_at=now_ms(), error="the webhook was removed")
    )
    change.audit("remove_webhook", name)


def retry(change: Change, name: str, delivery: str) -> None:
    """Try a dead delivery again, from its first attempt.

    Raises:
        NotFound: if there is no such webhook, or no such delivery of it that is dead.
    """
    done = change.execute(
        update(schema.delivery)
        .where(
            _DELIVERY.id == delivery,
            _DELIVERY.webhook == _find(change.connection, name),
            _DELIVERY.state == DeliveryState.DEAD.value,
        )
        .values(state=DeliveryState.WAITING.value, attempts=0, next_at=now_ms(), ended_at=None)
    )
    if done.rowcount == 0:
        raise NotFound(f"webhook {name!r} has no dead delivery {delivery[:40]!r}", kind="delivery")
    change.audit("retry_webhook", name, {"delivery": delivery})


def test(change: Change, name: str) -> str:
    """Send a test to a webhook, whatever its events; return the delivery's id.

    Raises:
        NotFound: if there is no webhook of this name.
    """
    webhook = _find(change.connection, name)
    change.audit("test_webhook", name)
    detail = {"text": f"a test by {change.actor}: nothing is wrong", "severity": "info"}
    event = {
        "event": TEST,
        "sequence": counters.read(change.connection, counters.AUDIT),
        "at": now_ms(),
        "actor": change.actor,
        "subject": "",
        "detail": detail,
    }
    delivery = new_delivery(webhook, event)
    change.execute(insert(schema.delivery).values(**delivery))
    return str(delivery["id"])


@dataclass(frozen=True, slots=True)
class WebhookRecord:
    """A webhook without its secret; `waiting`, `delivered` and `dead` count its deliveries."""

    name: str
    target: str
    events: list[str]
    models: str
    created_at: int
    actor: str
    format: str
    waiting: int
    delivered: int
    dead: int


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    """One event for one webhook; `sequence` is the audit record's, times are Unix milliseconds."""

    id: str
    sequence: int
    event: str
    state: str
    attempts: int
    created_at: int
    next_at: int
    ended_at: int | None
    error: str


def listing(connection: Connection) -> list[WebhookRecord]:
    """Return the webhooks with how many deliveries wait and how many are dead; no secret."""
    counted: dict[tuple[str, str], int] = {
        (row[0], row[1]): row[2]
        for row in connection.execute(
            select(_DELIVERY.webhook, _DELIVERY.state, func.count()).group_by(
                _DELIVERY.webhook, _DELIVERY.state
            )
        )
    }
    rows = connection.execute(select(schema.webhook).where(_is_set()).order_by(_WEBHOOK.name))
    return [
        WebhookRecord(
            name=row.name,
            target=origin_of(row.url),
            events=row.events,
            models=row.models,
            created_at=row.created_at,
            actor=row.actor,
            format=row.format,
            **{state.value: counted.get((row.id, state.value), 0) for state in DeliveryState},
        )
        for row in rows
    ]


def deliveries(
    connection: Connection, name: str, state: str | None, limit: int
) -> list[DeliveryRecord]:
    """Return a webhook's deliveries, newest first.

    Args:
        connection: of an open transaction; it only reads.
        name: of the webhook.
        state: in one state; None: in any.
        limit: most deliveries.

    Raises:
        NotFound: if there is no webhook of this name.
    """
    wanted = (
        select(*_SHOWN_DELIVERIES)
        .where(_DELIVERY.webhook == _find(connection, name))
        .order_by(_DELIVERY.sequence.desc())
        .limit(limit)
    )
    if state is not None:
        wanted = wanted.where(_DELIVERY.state == state)
    return [DeliveryRecord(**row) for row in connection.execute(wanted).mappings()]


def _find(connection: Connection, name: str) -> str:
    webhook = connection.scalar(select(_WEBHOOK.id).where(_WEBHOOK.name == name, _is_set()))
    if webhook is None:
        raise NotFound(f"there is no webhook {name[:80]!r}", kind="webhook")
    return str(webhook)


def _is_set() -> Any:
    return _WEBHOOK.removed_at.is_(None)
