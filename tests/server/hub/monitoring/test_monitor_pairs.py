"""The monitor on pairs of fields, on units, and on what a field may lack."""

import math
from typing import Any

import numpy as np
import pytest
from pydantic_core import to_jsonable_python

from gnomon.core.fields import Field, Kind
from gnomon.core.profiling import build_reference
from gnomon.core.row import Columns
from gnomon.runtime.packages.profile import Profile
from gnomon.server.hub.monitoring import alerts, monitor
from gnomon.server.hub.monitoring.intervals import MonitorSettings
from gnomon.server.hub.monitoring.watched_fields import WatchedFields
from gnomon.server.hub.store.database import Database

AT_ONCE = MonitorSettings(grace_ms=0)
NODES = ("n1", "n2", "n3", "n4")


def draw(random: Any, rows: int = 300, correlation: float = 0.6, gone: float = 0.02) -> Any:
    speed, power = random.standard_normal((2, rows))
    power = correlation * speed + math.sqrt(1 - correlation**2) * power
    way = random.gamma(3.0, 300.0, rows)
    power = np.where(random.random(rows) < gone, np.nan, power)
    return {"speed": speed, "power": power, "way": way}


def shape(unit: str | None = "miles", allowance: float = 0.05) -> Profile:
    inputs = (
        Field(name="speed", kind=Kind.FLOAT64),
        Field(name="power", kind=Kind.FLOAT64, nullable=True, missing_allowance=allowance),
        Field(name="way", kind=Kind.FLOAT64, unit=unit),
    )
    rows = draw(np.random.default_rng(0), 20_000)
    outputs = (Field(name="minutes", kind=Kind.FLOAT64),)
    return Profile(
        inputs=inputs,
        rules=(),
        outputs=outputs,
        input_reference=build_reference(inputs, rows, bins=16),
        output_reference=build_reference(outputs, {"minutes": rows["speed"]}, bins=16),
    )


@pytest.fixture
def place(world: Any) -> Any:
    def place(**options: Any) -> str:
        digest = world.publish("eta", "1", shape=shape(**options))
        world.place("eta", "1")
        return str(digest)

    return place


def send_day(world: Any, digest: str, day: int, broken: dict[str, Any], **changes: Any) -> None:
    """Send a day of all nodes, with changes everywhere or, where `broken` names it, on one."""
    for node in NODES:
        options = {**changes, **broken.get(node, {})}
        factor = options.pop("factor", 1.0)
        rows = draw(world.random, **options)
        rows["way"] = rows["way"] * factor
        window = world._profiles[digest].new_window()
        window.update_columns(Columns(list(rows.values())))
        world.send(digest, window, node=node, day=day)


def open_alerts(database: Database) -> list[dict[str, Any]]:
    with database.read() as connection:
        return to_jsonable_python(alerts.find(connection, model="eta", open_only=True))


@pytest.mark.slow
def test_quiet_days_raise_nothing(world: Any, database: Database, place: Any) -> None:
    digest = place()
    for day in range(12):
        send_day(world, digest, day, {})
    monitor.run_once(database, AT_ONCE)
    assert open_alerts(database) == []


@pytest.mark.both_databases
def test_a_correlation_that_flips_everywhere_names_both_fields(
    world: Any, database: Database, place: Any
) -> None:
    digest = place()
    for day in range(3):
        send_day(world, digest, day, {}, correlation=-0.6 if day >= 2 else 0.6)
    monitor.run_once(database, AT_ONCE)
    (alert,) = open_alerts(database)
    assert (alert["kind"], alert["field"]) == ("all_moved", "speed × power")
    assert "all sources: speed × power: medial correlation -0." in alert["text"]
    assert "+0.41 in the reference" in alert["text"]
    assert "since about 1970-01-03" in alert["text"]
    assert alert["evidence"]["change"] == "correlation"
    assert alert["evidence"]["mean"] is None
    assert alert["count"] == 1


def test_a_correlation_that_flips_at_one_source_is_its_own(
    world: Any, database: Database, place: Any
) -> None:
    digest = place()
    for day in range(5):
        send_day(world, digest, day, {"n2": {"correlation": -0.6}})
    monitor.run_once(database, AT_ONCE)
    (alert,) = open_alerts(database)
    assert (alert["kind"], alert["source"]) == ("source_moved", "n2")
    assert alert["field"] == "speed × power"
    assert "at the peers" in alert["text"]


@pytest.mark.parametrize(("unit", "named"), [("miles", True), ("kg", False)])
def test_only_a_plausible_unit_is_named(
    world: Any, database: Database, place: Any, unit: str, named: bool
) -> None:
    digest = place(unit=unit)
    send_day(world, digest, 0, {"n3": {"factor": 1.609344}})
    monitor.run_once(database, AT_ONCE)
    (alert,) = open_alerts(database)
    assert (alert["source"], alert["field"]) == ("n3", "way")
    assert ("miles to kilometres" in alert["text"]) == named
    assert ("unit" in alert["text"]) == named


@pytest.mark.both_databases
def test_more_missing_than_is_allowed_is_reported_once_with_its_sources(
    world: Any, database: Database, place: Any
) -> None:
    digest = place(allowance=0.05)
    for day in range(4):
        send_day(world, digest, day, {"n4": {"gone": 0.2}} if day >= 1 else {})
        monitor.run_once(database, AT_ONCE)
    found = {one["kind"]: one for one in open_alerts(database)}
    alert = found["missing_exceeded"]
    assert (alert["field"], alert["source"], alert["version"]) == ("power", "", "1")
    assert alert["count"] == 3
    assert "at most 5.00% is allowed; above it: n4 " in alert["text"]
    assert list(alert["evidence"]["sources"]) == ["n4"]
    assert alert["evidence"]["sources"]["n4"] == pytest.approx(0.2, abs=0.08)
    assert alert["evidence"]["allowance"] == 0.05


@pytest.mark.slow
def test_missing_in_all_sources_is_reported_for_all(
    world: Any, database: Database, place: Any
) -> None:
    digest = place(allowance=0.05)
    send_day(world, digest, 0, {}, gone=0.1)
    monitor.run_once(database, AT_ONCE)
    (alert,) = [one for one in open_alerts(database) if one["kind"] == "missing_exceeded"]
    assert alert["evidence"]["rows"] == 4 * 300
    assert 0.05 < alert["evidence"]["share"] < 0.15


@pytest.mark.slow
def test_tiny_windows_and_what_is_allowed_raise_no_alarm(
    world: Any, database: Database, place: Any
) -> None:
    digest = place(allowance=0.02)
    for day in range(25):
        send_day(world, digest, day, {}, rows=6)
    monitor.run_once(database, AT_ONCE)
    monitor.run_once(database, AT_ONCE)
    assert [one["kind"] for one in open_alerts(database)] == []


@pytest.mark.slow
def test_a_new_version_that_allows_more_closes_the_alert(
    world: Any, database: Database, place: Any
) -> None:
    digest = place(allowance=0.05)
    send_day(world, digest, 0, {}, gone=0.2)
    monitor.run_once(database, AT_ONCE)
    assert "missing_exceeded" in {one["kind"] for one in open_alerts(database)}
    wider = shape(allowance=0.5, unit="km")
    digest = world.publish("eta", "2", shape=wider)
    world.place("eta", "2")
    send_day(world, digest, 1, {}, gone=0.2)
    monitor.run_once(database, AT_ONCE)
    assert "missing_exceeded" not in {one["kind"] for one in open_alerts(database)}


def test_what_is_watched_is_what_is_monitored_and_the_units_are_the_profiles() -> None:
    watched = WatchedFields(shape())
    assert [one.reference.name for one in watched.fields] == ["speed", "power", "way", "minutes"]
    assert [one.reference.unit for one in watched.fields] == ["", "", "miles", ""]
    assert [one.reference.name for one in watched.pairs] == [
        "speed × power",
        "speed × way",
        "power × way",
    ]
    assert [(one.name, one.allowance) for one in watched.limits] == [("power", 0.05)]
