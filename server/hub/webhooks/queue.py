"""The queue of deliveries, in the database: at least once, even if a hub is killed.

WAITING → DELIVERED | DEAD (after the last attempt; shown, and tried again when a person says so)

A delivery that is due is claimed by moving the time of its next attempt: if the hub that claimed it
is killed, another one takes it after the lease.
"""

import enum
import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from gnomon.server.hub.store import counters, schema
from gnomon.server.hub.store.clock import DAY_MS, new_id, now_ms
from gnomon.server.hub.store.database import Database
from gnomon.server.hub.webhooks.events import EVENTS, is_wanted
from gnomon.server.hub.webhooks.formats import WebhookFormat
from gnomon.server.hub.webhooks.grouping import to_events

#: Records of the audit chain that are looked at in one transaction.
_RECORDS = 500

_AUDIT = schema.audit.c
_DELIVERY = schema.delivery.c
_WEBHOOK = schema.webhook.c


class DeliveryState(enum.StrEnum):
    """The state of a delivery."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """How often and how long deliveries are tried."""

    attempts: int = 12
    first_wait_ms: int = 5_000
    """The longest wait after the first failure; each further failure doubles it."""
    longest_wait_ms: int = 3_600_000
    lease_ms: int = 30_000
    """How long a process that claims a delivery may take."""
    claimed_at_once: int = 8
    kept_ms: int = 7 * DAY_MS
    """How long what was delivered is still shown."""

    def wait_ms(self, attempts: int) -> float:
        """Return the wait after a number of attempts, with full jitter."""
        longest = min(self.longest_wait_ms, self.first_wait_ms * 2 ** (attempts - 1))
        return random.uniform(0, longest)  # noqa: S311 (no secret)


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery to be made."""

    id: str
    event: str
    body: str
    attempts: int  # with this one
    url: str
    webhook: str  # its id
    secret: str  # of a webhook of an earlier Gnomon, or empty
    format: str = WebhookFormat.GNOMON


def fill(database: Database, settings: QueueSettings) -> None:
    """Make deliveries of what the audit chain has gained since the last time."""
    with database.read() as connection:
        if _behind(connection) == 0:
            return
    while True:
        with database.write() as connection:
            position = counters.read(connection, counters.WEBHOOKS)
            end = min(position + _RECORDS, counters.read(connection, counters.AUDIT))
            rows = list(_deliveries(connection, position, end))
            if rows:
                connection.execute(insert(schema.delivery), rows)
            connection.execute(
                delete(schema.delivery).where(
                    _DELIVERY.state == DeliveryState.DELIVERED.value,
                    _DELIVERY.ended_at < now_ms() - settings.kept_ms,
                )
            )
            counters.move(connection, counters.WEBHOOKS, end)
            if _behind(connection) == 0:
                return


def _behind(connection: Connection) -> int:
    written = counters.read(connection, counters.AUDIT)
    return written - counters.read(connection, counters.WEBHOOKS)


def _deliveries(connection: Connection, after: int, end: int) -> Iterator[dict[str, object]]:
    webhooks = connection.execute(select(schema.webhook).where(_WEBHOOK.removed_at.is_(None))).all()
    if not webhooks:
        return
    records = connection.execute(
        select(schema.audit)
        .where(_AUDIT.sequence > after, _AUDIT.sequence <= end, _AUDIT.action.in_(EVENTS))
        .order_by(_AUDIT.sequence)
    )
    for event in to_events(connection, records):
        for webhook in webhooks:
            if event["sequence"] > webhook.since and is_wanted(
                event["event"], event["subject"], webhook.events, webhook.models
            ):
                yield new_delivery(webhook.id, event)


def new_delivery(webhook: str, event: Mapping[str, Any]) -> dict[str, object]:
    """Return the row of a delivery that is due now."""
    delivery = new_id()
    return {
        "id": delivery,
        "webhook": webhook,
        "sequence": event["sequence"],
        "event": event["event"],
        "body": json.dumps({"id": delivery, **event}, ensure_ascii=False),
        "state": DeliveryState.WAITING.value,
        "attempts": 0,
        "created_at": now_ms(),
        "next_at": now_ms(),
        "error": "",
    }


def claim(database: Database, settings: QueueSettings) -> list[Claim]:
    """Take deliveries that are due, the longest due first."""
    is_due = (_DELIVERY.state == DeliveryState.WAITING.value) & (_DELIVERY.next_at <= now_ms())
    with database.read() as connection:
        if connection.scalar(select(_DELIVERY.id).where(is_due).limit(1)) is None:
            return []
    with database.write() as connection:
        rows = connection.execute(
            select(
                _DELIVERY.id,
                _DELIVERY.event,
                _DELIVERY.body,
                _DELIVERY.attempts,
                _WEBHOOK.url,
                _WEBHOOK.id.label("webhook"),
                _WEBHOOK.secret,
                _WEBHOOK.format,
            )
            .join(schema.webhook, _WEBHOOK.id == _DELIVERY.webhook)
            .where(is_due)
            .order_by(_DELIVERY.next_at, _DELIVERY.sequence)
            .limit(settings.claimed_at_once)
        ).all()
        connection.execute(
            update(schema.delivery)
            .where(_DELIVERY.id.in_([row.id for row in rows]))
            .values(attempts=_DELIVERY.attempts + 1, next_at=now_ms() + settings.lease_ms)
        )
    return [
        Claim(
            row.id,
            row.event,
            row.body,
            row.attempts + 1,
            row.url,
            row.webhook,
            row.secret,
            row.format,
        )
        for row in rows
    ]


def settle(
    database: Database, claimed: Claim, error: str, settings: QueueSettings
) -> DeliveryState:
    """Write down how an attempt ended; an empty error: it was delivered.

    Args:
        database: the hub's; the result is written in a transaction of its own.
        claimed: the delivery that was tried.
        error: what went wrong; empty: it was delivered.
        settings: how many attempts there are, and the pauses between them.
    """
    now = now_ms()
    if not error:
        state, values = DeliveryState.DELIVERED, {"ended_at": now}
    elif claimed.attempts >= settings.attempts:
        state, values = DeliveryState.DEAD, {"ended_at": now}
    else:
        state = DeliveryState.WAITING
        values = {"next_at": now + int(settings.wait_ms(claimed.attempts))}
    with database.write() as connection:
        connection.execute(
            update(schema.delivery)
            .where(_DELIVERY.id == claimed.id, _DELIVERY.state == DeliveryState.WAITING.value)
            .values(state=state.value, error=error, **values)
        )
    return state
