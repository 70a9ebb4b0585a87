"""Events that come together as few deliveries: a storm of alerts is one message.

Events of alerts of one kind and model that are found in one pass are one event if there are more
than a few, with their number and some examples. An alert that opened and closed within the pass is
left out, and so is one that is silenced.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, func, select

from gnomon.server.hub.store import schema
from gnomon.server.hub.webhooks.events import EVENTS

#: Events of alerts of a kind and model that are sent one by one.
FEW = 5
#: Alerts that an event of many holds.
EXAMPLES = 20

_OPENED, _CLOSED = "alert.opened", "alert.closed"


def to_events(connection: Connection, records: Iterable[Row[Any]]) -> list[dict[str, Any]]:
    """Return the events of records of the audit chain, in their order; `count` alerts in each."""
    events = [_event(record) for record in records]
    opened = {one["detail"].get("alert") for one in events if one["event"] == _OPENED}
    closed = {one["detail"].get("alert") for one in events if one["event"] == _CLOSED}
    brief = (opened & closed) - {None}
    groups: dict[Any, list[dict[str, Any]]] = {}
    for number, event in enumerate(events):
        detail = event["detail"]
        if detail.get("alert") in brief or detail.get("silenced_by"):
            continue
        is_alert = event["event"] in (_OPENED, _CLOSED)
        kind = detail.get("kind", "") if is_alert else number
        groups.setdefault((event["event"], event["subject"], kind), []).append(event)
    made = [one for group in groups.values() for one in _together(connection, group)]
    return sorted(made, key=lambda one: int(one["sequence"]))


def _together(connection: Connection, group: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    if len(group) <= FEW:
        return [_counted(connection, one) for one in group]
    first = group[0]
    details = [one["detail"] for one in group]
    kind = str(details[0].get("kind", "")).replace("_", " ")
    text = f"{len(group):,} alerts: {kind}; the first: {details[0].get('text', '')}"
    detail = {**details[0], "text": text, "alerts": details[:EXAMPLES]}
    return [{**first, "detail": detail, "count": len(group)}]


def _counted(connection: Connection, event: dict[str, Any]) -> dict[str, Any]:
    """Return an event with the number of nodes that its alert stands for."""
    detail = event["detail"]
    if event["event"] not in (_OPENED, _CLOSED) or detail.get("source"):
        return event
    member = schema.alert_node.c
    nodes = connection.scalar(
        select(func.count()).where(member.alert == str(detail.get("alert", "")))
    )
    if not nodes:
        return event
    text = f"{nodes:,} nodes; {detail.get('text', '')}"
    return {**event, "detail": {**detail, "text": text}, "count": nodes}


def _event(record: Row[Any]) -> dict[str, Any]:
    return {
        "event": EVENTS[record.action],
        "sequence": record.sequence,
        "at": record.at,
        "actor": record.actor,
        "subject": record.subject,
        "detail": json.loads(record.detail),
    }
