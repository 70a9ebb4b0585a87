"""Alerts in the forms of Alertmanager and PagerDuty, and alerts of other systems."""

import json
from typing import Any

import pytest
from click.testing import CliRunner

from gnomon.command.root import root
from gnomon.runtime.errors import InvalidInput
from gnomon.server.hub.alert_kinds import KINDS
from gnomon.server.hub.monitoring import alerts
from gnomon.server.hub.process import Hub
from gnomon.server.hub.webhooks.deliver import Deliverer
from gnomon.server.hub.webhooks.formats import WebhookFormat, check_format, encode
from tests.support.webhook_receiver import Receiver

PAGE = "https://hub.example"
EVENT = {
    "id": "01D",
    "event": "alert.opened",
    "at": 1_000,
    "subject": "eta",
    "detail": {
        "alert": "01A",
        "kind": "source_moved",
        "severity": "warning",
        "source": "n1",
        "field": "wind",
        "version": "1",
        "text": "n1 \u00e9 has moved",
        "opened_at": 0,
    },
}


def encoded(form: str, url: str = "https://x.example/a", **changed: Any) -> tuple[Any, str]:
    body, target = encode(form, json.dumps({**EVENT, **changed}), url, PAGE)
    return json.loads(body), target


@pytest.mark.parametrize(
    ("event", "action"),
    [
        ("alert.opened", "trigger"),
        ("alert.acknowledged", "acknowledge"),
        ("alert.closed", "resolve"),
    ],
)
def test_pagerduty_gets_its_fields_and_no_key_in_the_url(event: str, action: str) -> None:
    url = "https://events.example/v2/enqueue?routing_key=R1&x=1"
    body, target = encoded("pagerduty", url, event=event)
    assert target == "https://events.example/v2/enqueue?x=1"
    assert (body["routing_key"], body["event_action"]) == ("R1", action)
    assert body["dedup_key"] == "gnomon/01A"
    payload = body["payload"]
    assert (payload["summary"], payload["source"]) == ("n1 é has moved", "n1")
    assert (payload["severity"], payload["component"]) == ("warning", "data source")
    assert (payload["class"], payload["group"]) == ("source_moved", "eta")
    assert payload["timestamp"] == "1970-01-01T00:00:00Z"
    assert payload["custom_details"]["first_look"] == KINDS["source_moved"].first_look
    assert body["links"][0]["href"] == PAGE


def test_alertmanager_gets_its_fields() -> None:
    body, target = encoded("alertmanager")
    assert target == "https://x.example/a"
    (alert,) = body["alerts"]
    assert (body["version"], body["status"], alert["status"]) == ("4", "firing", "firing")
    assert alert["labels"] == {
        "alertname": "source_moved",
        "severity": "warning",
        "model": "eta",
        "version": "1",
        "instance": "n1",
        "field": "wind",
        "component": "data source",
    }
    assert (alert["startsAt"], alert["endsAt"]) == ("1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z")
    many = {**EVENT["detail"], "alerts": [EVENT["detail"]] * 20}
    storm, _ = encoded("alertmanager", detail=many, count=9_000)
    assert (len(storm["alerts"]), storm["truncatedAlerts"]) == (20, 8_980)
    closed, _ = encoded("alertmanager", event="alert.closed")
    assert (closed["status"], closed["alerts"][0]["endsAt"]) == ("resolved", "1970-01-01T00:00:01Z")


@pytest.mark.parametrize(
    ("form", "url", "events", "said"),
    [
        ("pagerduty", "https://x.example/", [], "routing key"),
        ("pagerduty", "https://x.example/?routing_key=R", ["*"], "events of alerts only"),
        ("alertmanager", "https://x.example/", ["rollout.*"], "events of alerts only"),
    ],
)
def test_a_wrong_form_is_refused(form: str, url: str, events: list[str], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        check_format(WebhookFormat(form), url, events)


def raise_one(hub: Hub) -> None:
    with hub.services.database.write() as connection:
        condition = alerts.Condition("eta", "error_rose", "", "", "1", "<b>it rose</b>")
        alerts.raise_alert(connection, condition)


def deliver(hub: Hub) -> None:
    Deliverer(hub.services.webhook_secrets, page=PAGE).run_once(hub.services.database)


def test_alerts_go_out_come_in_and_are_tested(hub: Hub, caller: Any, receiver: Receiver) -> None:
    url = f"{receiver.url}?routing_key=R1"
    caller.post("webhooks", name="pager", url=url, format="pagerduty")
    caller.post("webhooks", name="am", url=receiver.url, format="alertmanager")
    listed = {one["name"]: one for one in caller.get("webhooks")}
    assert (listed["pager"]["format"], listed["pager"]["events"]) == ("pagerduty", ["alert.*"])
    assert "R1" not in json.dumps(listed) + json.dumps(caller.get("audit"))
    raise_one(hub)
    deliver(hub)
    bodies = [json.loads(body) for _, body in receiver.got]
    assert {one.get("event_action", one.get("version")) for one in bodies} == {"trigger", "4"}
    (sent,) = [one for one in bodies if "alerts" in one]
    # What Alertmanager's form says comes in as an alert of another system.
    answer = caller.post("alerts/alertmanager", alerts=sent["alerts"])
    assert answer == {"opened": 1, "repeated": 0, "closed": 0}
    again = caller.post("alerts/alertmanager", alerts=[*sent["alerts"], {"labels": {}}])
    assert again == {"opened": 1, "repeated": 1, "closed": 0}
    found = {one["kind"]: one for one in caller.get("alerts") if one["model"]}
    taken = found["external"]
    assert (taken["severity"], taken["certainty"]) == ("error", "reported")
    assert taken["text"] == "error_rose: <b>it rose</b>"
    assert "&lt;b&gt;it rose" in caller.http.get("/").text
    assert caller.get(f"alerts/{taken['id']}") == taken
    resolved = [{**sent["alerts"][0], "status": "resolved"}]
    assert caller.post("alerts/alertmanager", alerts=resolved * 2)["closed"] == 1


def test_a_receiver_is_tested_by_the_command(
    hub: Hub, caller: Any, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GNOMON_HUB_URL", hub.addresses.rest)
    caller.post("webhooks", name="board", url=receiver.url, events=["version.published"])
    run = CliRunner().invoke
    waiting = run(root, ["alert", "test", "board", "--seconds", "0"], standalone_mode=False)
    assert (waiting.return_value, "not sent within 0 s" in waiting.output) == (1, True)
    deliver(hub)
    assert receiver.events == ["alert.test"]
    raise_one(hub)
    for arguments, said in (
        (["list"], "it rose"),
        (["silence", "--for", "8h", "--models", "eta"], "silenced until"),
        (["silences"], "eta"),
    ):
        done = run(root, ["alert", *arguments])
        assert (done.exit_code, said in done.output) == (0, True), done.output
    (alert,) = caller.get("alerts")
    shown = run(root, ["alert", "show", alert["id"]]).output
    assert "look first: Compare the errors by version and day" in shown
    assert f"silenced by: {alert['silenced_by']}" in shown
    ended = run(root, ["alert", "unsilence", alert["silenced_by"]])
    assert ended.exit_code == 0
    assert run(root, ["alert", "silence", "--for", "soon"]).exit_code == 2
