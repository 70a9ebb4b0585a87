"""Bodies of deliveries: Gnomon's own, Alertmanager's webhook (4), PagerDuty's Events API (v2).

The last two are for alerts only. PagerDuty's routing key is given in the webhook's URL, as
`?routing_key=…`, and is sent in the body only.
"""

import enum
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from gnomon.runtime.errors import InvalidInput
from gnomon.server.hub.alert_kinds import kind_of
from gnomon.server.hub.store.clock import calendar, now_ms

_SUMMARY = 1_024
_ROUTING_KEY = "routing_key"
_NEVER = "0001-01-01T00:00:00Z"
_ACTIONS = {"alert.closed": "resolve", "alert.acknowledged": "acknowledge"}


class WebhookFormat(enum.StrEnum):
    """The form of a webhook's bodies."""

    GNOMON = "gnomon"
    ALERTMANAGER = "alertmanager"
    PAGERDUTY = "pagerduty"


def check_format(form: WebhookFormat, url: str, events: Sequence[str]) -> list[str]:
    """Return the events of a webhook; those of alerts, for a form that has no others.

    Raises:
        InvalidInput: if the form has no such events, or the URL lacks what it needs.
    """
    if form is WebhookFormat.GNOMON:
        return list(events)
    wrong = [one for one in events if not one.startswith("alert.")]
    if wrong:
        raise InvalidInput(
            f"{form} has events of alerts only, such as alert.*, not {wrong[0][:80]}"
        )
    if form is WebhookFormat.PAGERDUTY and not _split(url)[1]:
        raise InvalidInput(
            "a webhook of PagerDuty needs the routing key in its URL, such as "
            "https://events.pagerduty.com/v2/enqueue?routing_key=…"
        )
    return list(events) or ["alert.*"]


def encode(form: str, body: str, url: str, page: str) -> tuple[str, str]:
    """Return the body of a delivery in a form, and the URL that it goes to.

    Args:
        form: a `WebhookFormat`.
        body: the event as JSON.
        url: of the webhook.
        page: the address of the hub's page.
    """
    if form == WebhookFormat.GNOMON:
        return body, url
    event = json.loads(body)
    if form == WebhookFormat.ALERTMANAGER:
        return json.dumps(_alertmanager(event, page), ensure_ascii=False), url
    plain, key = _split(url)
    return json.dumps(_pagerduty(event, key, page), ensure_ascii=False), plain


def _split(url: str) -> tuple[str, str]:
    """Return a URL without its routing key, and the key."""
    parts = urlsplit(url)
    query = parse_qsl(parts.query, keep_blank_values=True)
    rest = [(name, value) for name, value in query if name != _ROUTING_KEY]
    keys = [value for name, value in query if name == _ROUTING_KEY]
    return parts._replace(query=urlencode(rest)).geturl(), keys[0] if keys else ""


def _pagerduty(event: Mapping[str, Any], key: str, page: str) -> dict[str, Any]:
    detail = event["detail"]
    kind = kind_of(detail.get("kind", ""))
    return {
        "routing_key": key,
        "event_action": _ACTIONS.get(event["event"], "trigger"),
        "dedup_key": f"gnomon/{detail.get('alert') or event['id']}",
        "client": "Gnomon",
        "client_url": page,
        "links": [{"href": page, "text": "the hub's page"}],
        "payload": {
            "summary": str(detail.get("text", ""))[:_SUMMARY],
            "source": detail.get("source") or event["subject"] or "hub",
            "severity": detail.get("severity", kind.severity),
            "timestamp": _time(detail.get("opened_at", event["at"])),
            "component": kind.component,
            "group": event["subject"],
            "class": detail.get("kind", ""),
            "custom_details": {
                "first_look": kind.first_look,
                "certainty": kind.certainty,
                "count": event.get("count", 1),
                "field": detail.get("field", ""),
                "version": detail.get("version", ""),
            },
        },
    }


def _alertmanager(event: Mapping[str, Any], page: str) -> dict[str, Any]:
    status = "resolved" if event["event"] == "alert.closed" else "firing"
    details = event["detail"].get("alerts") or [event["detail"]]
    alerts = [_one_alert(one, event, status, page) for one in details]
    labels = {"alertname": event["detail"].get("kind", ""), "model": event["subject"]}
    return {
        "version": "4",
        "groupKey": f"{{}}:{{alertname={labels['alertname']!r}, model={labels['model']!r}}}",
        "truncatedAlerts": max(0, event.get("count", 1) - len(alerts)),
        "status": status,
        "receiver": "gnomon",
        "groupLabels": labels,
        "commonLabels": labels,
        "commonAnnotations": {"summary": event["detail"].get("text", "")},
        "externalURL": page,
        "alerts": alerts,
    }


def _one_alert(
    detail: Mapping[str, Any], event: Mapping[str, Any], status: str, page: str
) -> dict[str, Any]:
    kind = kind_of(detail.get("kind", ""))
    labels = {
        "alertname": detail.get("kind", ""),
        "severity": detail.get("severity", kind.severity),
        "model": event["subject"],
        "version": detail.get("version", ""),
        "instance": detail.get("source", ""),
        "field": detail.get("field", ""),
        "component": kind.component,
    }
    return {
        "status": status,
        "labels": {name: str(value) for name, value in labels.items() if value},
        "annotations": {"summary": detail.get("text", ""), "description": kind.first_look},
        "startsAt": _time(detail.get("opened_at", event["at"])),
        "endsAt": _time(event["at"]) if status == "resolved" else _NEVER,
        "generatorURL": page,
        "fingerprint": detail.get("alert") or event["id"],
    }


def _time(at: int | None) -> str:
    return f"{calendar(now_ms() if at is None else at):%Y-%m-%dT%H:%M:%SZ}"
