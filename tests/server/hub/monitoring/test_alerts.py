"""Alerts: one while a condition lasts; acknowledged and closed by somebody, in the audit."""

import math
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic_core import to_jsonable_python
from sqlalchemy import select

from gnomon.runtime.errors import Conflict, NotFound
from gnomon.server.hub.monitoring import alerts
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.audit import verify_chain
from gnomon.server.hub.store.database import Database


def condition(source: str = "n1", field: str = "distance", text: str = "moved") -> alerts.Condition:
    return alerts.Condition("eta", "source_moved", source, field, "1", text, {"distance": 1.5})


def raise_one(database: Database, one: alerts.Condition | None = None) -> bool:
    with database.write() as connection:
        return alerts.raise_alert(connection, one or condition())


def found(database: Database, **wanted: Any) -> list[dict[str, Any]]:
    with database.read() as connection:
        return to_jsonable_python(alerts.find(connection, **wanted))


def actions(database: Database) -> list[tuple[str, str]]:
    with database.read() as connection:
        assert verify_chain(connection).intact
        rows = connection.execute(select(schema.audit).order_by(schema.audit.c.sequence))
        return [(row.actor, row.action) for row in rows]


def test_the_same_condition_counts_on_and_the_first_diagnosis_stays(database: Database) -> None:
    assert raise_one(database)
    later = replace(condition(text="moved further"), version="2", evidence={"distance": 9.0})
    assert not raise_one(database, later)
    assert not raise_one(database, later)
    assert raise_one(database, condition(source="n2"))
    first, second = sorted(found(database), key=lambda one: one["source"])
    assert (first["count"], first["text"], first["version"]) == (3, "moved", "1")
    assert first["evidence"]["distance"] == 1.5
    (appended,) = first["evidence"]["later"]
    assert (appended["text"], appended["version"]) == ("moved further", "2")
    assert appended["at"] >= first["opened_at"]
    assert second["count"] == 1
    assert actions(database) == [("monitor", "open_alert")] * 2


def test_an_alert_keeps_so_many_of_its_newest_later_texts(database: Database) -> None:
    for day in range(alerts.LATER + 5):
        raise_one(database, condition(text=f"moved by {day}"))
    (alert,) = found(database)
    texts = [one["text"] for one in alert["evidence"]["later"]]
    assert alert["text"] == "moved by 0"
    assert texts == [f"moved by {day}" for day in range(5, alerts.LATER + 5)]


def test_somebody_takes_care_of_it_and_closes_it(database: Database) -> None:
    raise_one(database)
    (alert,) = found(database)
    with database.change("ada") as change:
        alerts.acknowledge(change, alert["id"])
    with database.change("ada") as change:
        alerts.acknowledge(change, alert["id"])  # a second click does no harm
    with pytest.raises(Conflict, match="acknowledged by ada"), database.change("bob") as change:
        alerts.acknowledge(change, alert["id"])
    raise_one(database)
    (alert,) = found(database)
    assert (alert["acknowledged_by"], alert["count"]) == ("ada", 2)
    with database.change("bob") as change:
        alerts.close(change, alert["id"], "sensor replaced")
    assert found(database, open_only=True) == []
    for call in (alerts.acknowledge, alerts.close):
        with pytest.raises(Conflict, match="is closed"), database.change("bob") as change:
            call(change, alert["id"])
    assert raise_one(database)  # met again, it is a new one
    assert [one["closed_at"] is None for one in found(database)] == [True, False]
    assert actions(database) == [
        ("monitor", "open_alert"),
        ("ada", "acknowledge_alert"),
        ("bob", "close_alert"),
        ("monitor", "open_alert"),
    ]


def test_what_is_not_there_is_said_so(database: Database) -> None:
    with pytest.raises(NotFound, match="no alert 'x'"), database.change("ada") as change:
        alerts.close(change, "x")
    assert found(database, model="eta") == []


def test_names_beyond_a_keys_length_stay_apart(database: Database) -> None:
    long = "f" * 128
    model = "m" * 64
    for source in ("s" * 64, "t" * 64):
        one = alerts.Condition(model, "source_moved", source, long, "1", "moved")
        assert raise_one(database, one)
        assert not raise_one(database, one)
    assert len(found(database, model=model)) == 2


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.booleans()), max_size=20))
def test_one_open_alert_a_condition_whatever_happens(
    database: Database, steps: list[tuple[str, bool]]
) -> None:
    with database.write() as connection:
        connection.execute(schema.alert.delete())
    counted: Counter[str] = Counter()
    for source, closing in steps:
        open_ones = [one for one in found(database, open_only=True) if one["source"] == source]
        assert [one["count"] for one in open_ones] == ([counted[source]] if counted[source] else [])
        if closing and open_ones:
            with database.change("ada") as change:
                alerts.close(change, open_ones[0]["id"])
            del counted[source]
        elif not closing:
            raise_one(database, condition(source=source))
            counted[source] += 1


@pytest.mark.both_databases
def test_numbers_that_are_not_finite_are_stored_as_null(database: Database) -> None:
    """PostgreSQL refuses them in JSON, and what wrote them would fail for ever."""
    evidence = {"mean": [math.nan, math.inf, 1.0]}
    raise_one(database, alerts.Condition("eta", "kind", "", "", "1", "text", evidence))
    assert found(database)[0]["evidence"] == {"mean": [None, None, 1.0]}
