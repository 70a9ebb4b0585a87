"""A silenced alert is recorded and not sent; what is open when the silence ends is sent then."""

import json

import pytest
from sqlalchemy import insert, select, update

from gnomon.runtime.errors import Conflict, InvalidInput, NotAllowed, NotFound
from gnomon.server.hub.monitoring import alerts, silences
from gnomon.server.hub.monitoring.silences import LONGEST_MS, Silence, SilenceRequest
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.clock import now_ms
from gnomon.server.hub.store.database import Database
from gnomon.server.hub.store.rights import Actor, Grant, Role
from gnomon.server.hub.webhooks import queue
from gnomon.server.hub.webhooks.queue import QueueSettings

HOUR = 3_600_000
ADA = Actor("ada", (Grant(Role.OPERATOR),))


@pytest.fixture(autouse=True)
def webhook(database: Database) -> None:
    with database.write() as connection:
        values = {"events": ["alert.*"], "models": "*", "secret": "", "since": 0}
        values |= {"id": "board", "name": "board", "url": "https://example.com", "actor": "ada"}
        connection.execute(insert(schema.webhook).values(created_at=1, **values))


def raise_one(database: Database, model: str = "eta", kind: str = "error_rose") -> None:
    with database.write() as connection:
        alerts.raise_alert(connection, alerts.Condition(model, kind, "", "", "1", "it rose"))


def silence(database: Database, **wanted: str) -> Silence:
    with database.change(ADA) as change:
        return silences.add(change, SilenceRequest(now_ms() + HOUR, **wanted))


def let_end(database: Database) -> None:
    with database.write() as connection:
        connection.execute(update(schema.silence).values(ends_at=now_ms() - 1))
    silences.run_once(database)


def sent(database: Database) -> list[tuple[str, str]]:
    queue.fill(database, QueueSettings())
    columns = schema.delivery.c
    with database.read() as connection:
        bodies = connection.scalars(select(columns.body).order_by(columns.sequence)).all()
    return [(one["event"], one["subject"]) for one in map(json.loads, bodies)]


@pytest.mark.both_databases
@pytest.mark.parametrize("ends_by_hand", [False, True])
def test_what_is_open_when_a_silence_ends_is_sent_then(
    database: Database, ends_by_hand: bool
) -> None:
    made = silence(database, models="eta", kinds="error_*")
    raise_one(database)
    raise_one(database, "fraud")
    raise_one(database, kind="all_moved")
    assert sent(database) == [("alert.opened", "fraud"), ("alert.opened", "eta")]
    if ends_by_hand:
        with database.change(ADA) as change:
            silences.end(change, made.id)
    else:
        let_end(database)
    silences.run_once(database)
    assert sent(database)[2:] == [("alert.opened", "eta")]
    with database.read() as connection:
        assert {one.silenced_by for one in alerts.find(connection)} == {""}
        assert silences.listing(connection) == []


def test_an_alert_that_was_open_before_is_silenced_too(database: Database) -> None:
    raise_one(database)
    made = silence(database)
    with database.read() as connection:
        (alert,) = alerts.find(connection)
    assert alert.silenced_by == made.id
    assert sent(database) == [("alert.opened", "eta")]
    with database.change(ADA) as change:
        alerts.close(change, alert.id)
    let_end(database)
    assert sent(database) == [("alert.opened", "eta")]


def test_two_silences_hold_until_the_last_has_ended(database: Database) -> None:
    first = silence(database)
    second = silence(database, models="e*")
    raise_one(database)
    for made in (second, first):
        assert sent(database) == []
        with database.change(ADA) as change:
            silences.end(change, made.id)
    assert sent(database) == [("alert.opened", "eta")]


@pytest.mark.parametrize("ends_in", [0, -HOUR, LONGEST_MS + HOUR])
def test_a_silence_ends_within_bounds(database: Database, ends_in: int) -> None:
    with pytest.raises(InvalidInput, match="should end within 90 days"), database.change(ADA) as it:
        silences.add(it, SilenceRequest(now_ms() + ends_in))


@pytest.mark.parametrize(
    ("models", "grant", "may"),
    [
        ("eta", "eta", True),
        ("eta-*", "eta-*", True),
        ("*", "eta-*", False),
        ("e*", "eta-*", False),
        ("fraud", "eta", False),
    ],
)
def test_whoever_silences_may_watch_all_that_the_pattern_matches(
    database: Database, models: str, grant: str, may: bool
) -> None:
    actor = Actor("bob", (Grant(Role.OPERATOR, grant),))
    wanted = SilenceRequest(now_ms() + HOUR, models=models)
    if may:
        with database.change(actor) as change:
            made = silences.add(change, wanted)
        with database.change(actor) as change:
            silences.end(change, made.id)
        return
    with pytest.raises(NotAllowed), database.change(actor) as change:
        silences.add(change, wanted)
    with database.change(ADA) as change:
        made = silences.add(change, wanted)
    with pytest.raises(NotAllowed), database.change(actor) as change:
        silences.end(change, made.id)


def test_an_ended_silence_does_not_end_again(database: Database) -> None:
    made = silence(database)
    let_end(database)
    with pytest.raises(Conflict, match="has ended"), database.change(ADA) as change:
        silences.end(change, made.id)
    with pytest.raises(NotFound), database.change(ADA) as change:
        silences.end(change, "none")
