"""Numbers that a node makes up stop no evaluation: of its model, of others, or after a restart."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.core.window import ANSWERED_CODE, Window
from gnomon.core.window.binary import decode, encode
from gnomon.proto import hub_pb2
from gnomon.runtime.errors import InvalidInput
from gnomon.server.hub.access import nodes
from gnomon.server.hub.ingest.telemetry import Telemetry
from gnomon.server.hub.monitoring import alerts, drift, monitor, windows
from gnomon.server.hub.monitoring.intervals import Arrival, MonitorSettings, closed
from gnomon.server.hub.monitoring.progress import SourceClock
from gnomon.server.hub.monitoring.watched_fields import WatchedFields
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.clock import now_ms
from gnomon.server.hub.store.database import Database
from gnomon.server.hub.store.limits import MAXIMUM_COUNT, MAXIMUM_ROWS, MAXIMUM_TIME_MS
from gnomon.server.hub.versions.catalogue import Catalogue
from tests.support.hub_world import DAY, World, profile

NODES = ("n1", "n2", "n3")
AT_ONCE = MonitorSettings(grace_ms=0)


@pytest.fixture
def eta(world: World) -> str:
    digest = world.publish("eta", "1")
    world.place("eta", "1")
    return digest


def evaluated(database: Database, model: str = "eta") -> int:
    with database.read() as connection:
        return len(drift.series(connection, model, "distance"))


def record(window: Window, digest: str, **changed: Any) -> hub_pb2.Record:
    values = {
        "digest": digest,
        "route": "eta",
        "started_at_unix_ms": 0,
        "ended_at_unix_ms": DAY,
        "rows": window.rows,
        "window": window.to_bytes(),
    }
    return hub_pb2.Record(sequence=1, window=hub_pb2.Window(**{**values, **changed}))


def usual_window(rows: int = 5) -> Window:
    window = profile().new_window()
    window.observe(ANSWERED_CODE, 1_000, rows)
    return window


@pytest.mark.parametrize(
    "changed",
    [
        {"rows": 2**63 - 1},
        {"rows": 2**64 - 1},
        {"rows": MAXIMUM_ROWS + 1},
        {"started_at_unix_ms": 292_278_994 * 365 * DAY // 1_000_000},
        {"ended_at_unix_ms": 2**63 - 1},
        {"ended_at_unix_ms": MAXIMUM_TIME_MS + 1},
        {"started_at_unix_ms": -(2**63)},
        {"ended_at_unix_ms": -1},
    ],
    ids=lambda changed: "-".join(f"{key}={value}" for key, value in changed.items()),
)
def test_three_windows_of_impossible_numbers_end_no_evaluation(
    world: World, database: Database, eta: str, changed: dict[str, int]
) -> None:
    world.publish("rent", "1")
    telemetry = Telemetry(database, Catalogue())
    for boot in ("b1", "b2", "b3"):
        one = record(usual_window(), eta, **changed)
        assert telemetry.upload("n1", boot, [one.SerializeToString()]) == 1
    with database.read() as connection:
        assert connection.execute(schema.window.select()).all() == []
        assert len(connection.execute(schema.event.select()).all()) == 3
    for day in range(2):
        for node in NODES:
            world.window(eta, node=node, day=day, rows=20)
        # Each time as after a restart: all state is in the database.
        monitor.run_once(database, AT_ONCE)
    assert evaluated(database) == 2
    with database.read() as connection:
        assert alerts.find(connection, open_only=True) == []


def test_more_latencies_than_answers_are_refused(
    world: World, database: Database, eta: str
) -> None:
    """A single answer could otherwise outweigh the latencies of all others in a gate."""
    shape = profile()
    references = [shape.input_reference, shape.output_reference]
    window = usual_window(1)
    outcomes = len(window.outcomes)
    sizes = [outcomes, outcomes, len(window.latency_counts), window.rules]
    service, sides = decode(window.to_bytes(), sizes, references)
    service[2] *= 9
    forged = encode(service, sides)
    with database.read() as connection, pytest.raises(InvalidInput, match="9 latencies of 1"):
        windows.read(connection, eta, forged)


def test_sums_of_many_windows_saturate() -> None:
    fields = WatchedFields(profile())
    totals, one = fields.empty(), fields.empty()
    for counts in (one.fields[0].cells, one.pairs, one.gaps):
        counts[...] = MAXIMUM_ROWS
    for _ in range(20):
        totals.add(one)
    assert set(np.unique(totals.fields[0].cells)) == {MAXIMUM_ROWS}
    merged = windows.merge_latency([{"7": MAXIMUM_ROWS}] * 20)
    assert merged[7] == MAXIMUM_ROWS


def test_a_node_that_sends_again_keeps_no_interval_open(
    world: World, database: Database, eta: str
) -> None:
    settings = MonitorSettings()
    started = now_ms() - settings.deadline_ms
    for node in NODES[:2]:
        world.window(eta, node=node, day=0, rows=20, received_at=started)
    for minute in range(11):  # the last one now
        world.window(eta, node="n3", day=0, rows=20, received_at=started + 60_000 * minute)
    # Another one makes up intervals, each new, before the real one.
    world.window(eta, node="n3", day=-1, rows=20)
    monitor.run_once(database, settings)
    with database.read() as connection:
        found = drift.series(connection, "eta", "distance")
    assert [one.started_at // DAY for one in found] == [-1, 0]


@given(
    st.lists(
        st.tuples(st.integers(0, 20), st.integers(1, 5), st.integers(0, 900), st.integers(0, 99)),
        max_size=12,
    ),
    st.dictionaries(st.sampled_from("abc"), st.tuples(st.integers(0, 20), st.integers(0, 1_000))),
)
def test_every_interval_closes_at_its_deadline(
    drawn: list[tuple[int, int, int, int]], clocks: dict[str, tuple[int, int]]
) -> None:
    settings = MonitorSettings(grace_ms=50, active_ms=2_000, deadline_ms=100, ahead_ms=10_000)
    arrivals = [
        Arrival((start + length, start), first, min(first + more, 1_000))
        for start, length, first, more in drawn
    ]
    sources = {name: SourceClock(*one) for name, one in clocks.items()}
    ready = closed(arrivals, sources, 1_000, settings)
    assert ready == sorted(one.interval for one in arrivals)[: len(ready)]
    assert {one.interval for one in arrivals if one.first_at <= 900} <= set(ready)


def test_the_numbers_of_a_report_are_bounded_where_they_enter(
    world: World, database: Database
) -> None:
    world.node("n1")
    most = 2**64 - 1
    reported = hub_pb2.ReportedState(
        generation=most, refused_generation=most, digests=["d" * 10_000], reason="r" * 10_000
    )
    spool = hub_pb2.SpoolFigures(records=most, bytes=most, merged=most, dropped=most)
    request = hub_pb2.ExchangeRequest(boot="b" * 999, reported=reported, spool=spool)
    with database.write() as connection:
        nodes.report(connection, "n1", request)
        (known,) = nodes.listing(connection)
    assert (known.reported_generation, known.refused_generation) == (0, 0)
    assert set(known.spool.values()) == {MAXIMUM_COUNT}
    assert [len(digest) for digest in known.digests] == [64]
    assert (len(known.boot), len(known.reason)) == (64, 4_096)
