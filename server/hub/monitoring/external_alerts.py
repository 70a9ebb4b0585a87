"""Alerts of other systems, as Alertmanager sends them: two of three outages are not the model's.

A firing alert opens an alert of the kind `external`, or counts it again; a resolved one closes it.
So they stand beside the hub's own, with the same silences, webhooks and acknowledgements.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, Field
from sqlalchemy import select

from gnomon.server.hub.alert_kinds import EXTERNAL, Severity
from gnomon.server.hub.monitoring import alerts
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.change import Change

_NAME, _FIELD, _TEXT = 64, 128, 1_000
_ALERT = schema.alert.c

#: Severities of others, by their usual names.
_SEVERITIES: Mapping[str, Severity] = {
    **{one.value: one for one in Severity},
    "page": Severity.CRITICAL,
    "fatal": Severity.CRITICAL,
    "major": Severity.ERROR,
    "high": Severity.ERROR,
    "warn": Severity.WARNING,
    "low": Severity.INFO,
    "none": Severity.INFO,
}

_Labels = Annotated[
    dict[Annotated[str, Field(max_length=256)], Annotated[str, Field(max_length=4_096)]],
    Field(max_length=64),
]


class ExternalAlert(BaseModel):
    """One alert of Alertmanager's webhook; what else it has is ignored."""

    status: str = "firing"
    labels: _Labels = {}
    annotations: _Labels = {}
    generatorURL: Annotated[str, Field(max_length=2_000)] = ""  # noqa: N815 (Alertmanager's name)


class ExternalAlerts(BaseModel):
    """Alertmanager's webhook, version 4."""

    alerts: Annotated[list[ExternalAlert], Field(max_length=1_000)]


@dataclass(frozen=True, slots=True)
class ReceivedAlerts:
    """What became of alerts of another system."""

    opened: int
    repeated: int
    closed: int


def receive(change: Change, received: Sequence[ExternalAlert]) -> ReceivedAlerts:
    """Open and close alerts as another system says.

    Raises:
        NotAllowed: if the actor may not watch a model that a label names, or, without one, all.
    """
    opened = repeated = closed = 0
    for one in received:
        condition = _condition(one)
        change.check("receive_alert", condition.model or None)
        if one.status == "resolved":
            closed += _close(change, condition)
        elif alerts.raise_alert(change.connection, condition):
            opened += 1
        else:
            repeated += 1
    models = {_condition(one).model for one in received}
    counted = {"opened": opened, "repeated": repeated, "closed": closed}
    model = models.pop() if len(models) == 1 else ""
    if received:
        change.audit("receive_alert", model, counted, model=model or None)
    return ReceivedAlerts(**counted)


def _condition(one: ExternalAlert) -> alerts.Condition:
    labels = one.labels
    name = labels.get("alertname", "alert")
    said = one.annotations.get("summary") or one.annotations.get("description") or ""
    evidence = {"labels": labels, "annotations": one.annotations, "link": one.generatorURL}
    return alerts.Condition(
        labels.get("model", "")[:_NAME],
        EXTERNAL,
        labels.get("instance", "")[:_NAME],
        name[:_FIELD],
        labels.get("version", "")[:_NAME],
        (f"{name}: {said}" if said else name)[:_TEXT],
        evidence,
        _SEVERITIES.get(labels.get("severity", "").lower(), Severity.WARNING),
    )


def _close(change: Change, condition: alerts.Condition) -> int:
    found = change.connection.scalar(
        select(_ALERT.id).where(_ALERT.key == condition.key, _ALERT.closed_at.is_(None))
    )
    if found is None:
        return 0
    alerts.close(change, found, "resolved, says the system that sent it")
    return 1
