"""Webhooks: told at least once, signed, to allowed addresses, whatever fails."""

import dataclasses
import ipaddress
import json
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import select, update

from gnomon.command.root import root
from gnomon.runtime.errors import InvalidInput
from gnomon.runtime.webhooks import verify
from gnomon.server.hub.process import Hub
from gnomon.server.hub.store import schema
from gnomon.server.hub.webhooks.deliver import Deliverer
from gnomon.server.hub.webhooks.delivery_addresses import check_address, check_url
from gnomon.server.hub.webhooks.queue import QueueSettings
from tests.support.webhook_receiver import Receiver

SOON = QueueSettings(attempts=3, first_wait_ms=0, lease_ms=0)


def add(caller: Any, receiver: Receiver, *, name: str = "board", **body: Any) -> str:
    return caller.post("webhooks", name=name, url=receiver.url, **body)["secret"]


def listed(caller: Any, state: str | None = None) -> list[dict[str, Any]]:
    return caller.get("webhooks/board/deliveries", **({"state": state} if state else {}))


def deliver(hub: Hub, times: int = 1) -> None:
    for _ in range(times):
        Deliverer(hub.services.webhook_secrets, settings=SOON).run_once(hub.services.database)


@pytest.mark.both_databases
def test_what_happens_is_reported_signed_and_once(
    hub: Hub, caller: Any, receiver: Receiver, builder: Any, make: Any
) -> None:
    builder.publish(make())
    secret = add(caller, receiver, events=["version.*"])
    builder.publish(make("2"))
    caller.post("placements", model="eta", version="1")
    caller.post("models/eta/aliases", alias="audited", version="1")
    deliver(hub, 3)
    assert sorted(receiver.events) == ["version.placed", "version.published"]
    for headers, body in receiver.got:
        assert verify(secret, headers["gnomon-signature"], body)
        assert not verify("other", headers["gnomon-signature"], body)
        assert headers["gnomon-delivery"] == json.loads(body)["id"]
    placed = next(json.loads(body) for _, body in receiver.got if b"placed" in body)
    assert (placed["subject"], placed["actor"]) == ("eta@1", "local")
    assert {one["state"] for one in listed(caller)} == {"delivered"}


def test_events_of_other_models_are_not_reported(
    hub: Hub, caller: Any, receiver: Receiver, builder: Any, make: Any
) -> None:
    add(caller, receiver, models="cost-*")
    builder.publish(make())
    deliver(hub)
    assert receiver.got == []


@pytest.mark.parametrize("status", [500, 404, 302])
def test_what_fails_is_tried_again_and_then_dead_until_somebody_says_so(
    hub: Hub, caller: Any, receiver: Receiver, status: int, builder: Any, make: Any
) -> None:
    add(caller, receiver)
    builder.publish(make())
    receiver.status = status
    deliver(hub, 5)
    assert len(receiver.got) == SOON.attempts
    assert len({headers["gnomon-delivery"] for headers, _ in receiver.got}) == 1
    (dead,) = listed(caller, "dead")
    assert (dead["attempts"], str(status) in dead["error"]) == (3, True)
    assert caller.get("webhooks")[0]["dead"] == 1
    page = caller.http.get("/").text
    assert 'id="webhooks"' in page
    assert "very-secret-path" not in page
    assert all("elsewhere" not in str(headers) for headers, _ in receiver.got)

    receiver.status = 204
    caller.post(f"webhooks/board/deliveries/{dead['id']}/retry")
    deliver(hub)
    assert [one["state"] for one in listed(caller)] == ["delivered"]


def test_no_one_listening_is_no_news_of_the_url(
    hub: Hub, caller: Any, receiver: Receiver, builder: Any, make: Any, caplog: Any
) -> None:
    secret = add(caller, receiver)
    receiver.close()
    builder.publish(make())
    with caplog.at_level(logging.DEBUG):
        deliver(hub, 4)
    told = json.dumps([caller.get("webhooks"), listed(caller), caller.get("audit")]) + caplog.text
    assert "ConnectError" in told
    assert "very-secret-path" not in told
    assert secret not in told


def test_a_delivery_in_the_hands_of_a_killed_hub_is_made_by_the_next(
    hub: Hub, caller: Any, receiver: Receiver, builder: Any, make: Any
) -> None:
    """Killed after the target had it and before that was written down: it comes again, same id."""
    add(caller, receiver)
    builder.publish(make())
    database = hub.services.database
    deliver(hub)
    with database.write() as connection:
        connection.execute(update(schema.delivery).values(state="waiting", ended_at=None))
    deliver(hub)
    assert len(receiver.got) == 2
    assert len({headers["gnomon-delivery"] for headers, _ in receiver.got}) == 1


@pytest.mark.both_databases
def test_two_hubs_make_one_delivery_of_an_event(
    hub: Hub, caller: Any, receiver: Receiver, builder: Any, make: Any
) -> None:
    add(caller, receiver)
    for version in ("1", "2", "3"):
        builder.publish(make(version))
    settings = QueueSettings()
    hubs = [
        threading.Thread(
            target=Deliverer(hub.services.webhook_secrets, settings=settings).run_once,
            args=(hub.services.database,),
        )
        for _ in range(3)
    ]
    for one in hubs:
        one.start()
    for one in hubs:
        one.join(60)
    assert len(receiver.got) == 3


def test_a_running_hub_tells_by_itself(
    settings: Any, receiver: Receiver, caller_of: Callable[..., Any]
) -> None:
    hub = Hub(dataclasses.replace(settings, tick_seconds=0.05))
    hub.start()
    try:
        caller = caller_of(hub.addresses)
        add(caller, receiver)
        with hub.services.database.change("monitor") as change:
            change.audit("open_alert", "eta", {"text": "moved"})
        with receiver.arrived:
            assert receiver.arrived.wait_for(lambda: receiver.events == ["alert.opened"], 60)
    finally:
        hub.stop()


def test_a_removed_webhook_is_forgotten_with_its_secret(
    hub: Hub, caller: Any, receiver: Receiver, builder: Any, make: Any
) -> None:
    add(caller, receiver)
    builder.publish(make())
    caller.http.delete("/api/v1/webhooks/board").raise_for_status()
    deliver(hub, 2)
    assert (receiver.got, caller.get("webhooks")) == ([], [])
    with hub.services.database.read() as connection:
        assert connection.execute(select(schema.webhook.c.secret)).scalars().all() == [""]
    assert add(caller, receiver)


def test_the_command_line_says_the_same(caller: Any, receiver: Receiver) -> None:
    def command(*arguments: str) -> Any:
        line = ["hub", "webhook", *arguments, "--url", caller.addresses.rest, "--json"]
        result = CliRunner().invoke(root, line, obj=None)
        assert result.exit_code == 0, result.output
        return json.loads(result.output)

    made = command("add", "board", receiver.url, "--event", "rollout.*")
    assert made["secret"].startswith("gnomon_")
    (shown,) = command("list")
    assert shown["target"] == receiver.url.replace("hooks/very-secret-path", "…")
    assert "secret" not in shown
    assert command("deliveries", "board") == []
    assert command("remove", "board")["removed"]


@pytest.mark.parametrize(
    ("address", "scheme", "allowed"),
    [
        ("127.0.0.1", "http", True),
        ("::1", "http", True),
        ("8.8.8.8", "https", True),
        ("8.8.8.8", "http", False),
        ("10.1.2.3", "https", False),
        ("169.254.169.254", "https", False),
        ("::ffff:10.1.2.3", "https", False),
        ("fd00::1", "https", False),
        ("0.0.0.0", "https", False),
        ("224.0.0.1", "https", False),
        ("192.168.7.7", "http", True),
    ],
)
def test_where_webhooks_may_go(address: str, scheme: str, allowed: bool) -> None:
    networks = [ipaddress.ip_network("192.168.7.0/24")]
    try:
        check_address(ipaddress.ip_address(address), scheme, networks)
    except InvalidInput:
        assert not allowed
    else:
        assert allowed


@pytest.mark.parametrize(
    "url",
    [
        "",
        "board",
        "ftp://example.com",
        "https://",
        "https://user:pass@example.com/",
        "https://example.com/#there",
        "https://example.com:port/",
        "https://example.com/\r\nx: y",
        "https://example.com/" + "x" * 2_000,
    ],
)
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput):
        check_url(url)


def test_a_private_address_is_refused_when_it_is_set(shared_caller: Any) -> None:
    body = {"name": "metadata", "url": "https://169.254.169.254/latest"}
    answer = shared_caller.http.post("/api/v1/webhooks", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")
    nowhere = {"name": "long", "url": f"https://{'x' * 80}.example/"}
    assert shared_caller.http.post("/api/v1/webhooks", json=nowhere).status_code == 422
    wrong = {"name": "x", "url": "http://127.0.0.1:1/", "events": ["moon.landing"]}
    assert shared_caller.http.post("/api/v1/webhooks", json=wrong).status_code == 422
