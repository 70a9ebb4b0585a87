"""However uploads are cut, repeated and damaged, each record has its effect exactly once."""

import math
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from gnomon.proto import hub_pb2
from gnomon.runtime.errors import InvalidInput
from gnomon.server.hub import doctor
from gnomon.server.hub.ingest import numbering
from gnomon.server.hub.ingest.records import REFUSED_RECORD, RecordReader, Rows
from gnomon.server.hub.ingest.telemetry import RECORDS_LOST, RecordsMissing, Telemetry
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.database import Database
from gnomon.server.hub.versions.catalogue import Catalogue
from tests.support.hub_world import World

RECORDS = 30
DIGEST = "d" * 64


def good(sequence: int) -> bytes:
    event = hub_pb2.Event(kind="started", detail=str(sequence))
    return hub_pb2.Record(sequence=sequence, event=event).SerializeToString()


def damaged(sequence: int) -> bytes:
    return b"\xff" + str(sequence).encode()


cuts = st.lists(
    st.tuples(st.integers(1, 8), st.booleans()).map(lambda cut: (cut[0], cut[1])), max_size=40
)


@pytest.mark.slow
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(cuts=cuts, bad=st.sets(st.integers(1, RECORDS)))
def test_each_record_counts_once(
    first_start: Path, cuts: list[tuple[int, bool]], bad: set[int]
) -> None:
    """A node sends what is not acknowledged, in pieces of any size; answers may get lost."""
    queue = [damaged(n) if n in bad else good(n) for n in range(1, RECORDS + 1)]
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(first_start, Path(folder) / "hub")
        database = Database.in_folder(Path(folder) / "hub")
        telemetry = Telemetry(database, Catalogue())
        acknowledged = 0
        for size, is_lost in [*cuts, (RECORDS, False), (RECORDS, False)]:
            piece = queue[acknowledged : acknowledged + size]
            watermark = telemetry.upload("n", "b", piece) if piece else acknowledged
            if not is_lost:
                acknowledged = watermark
        assert acknowledged == RECORDS
        with database.read() as connection:
            events = connection.execute(
                select(
                    schema.event.c.sequence, schema.event.c.kind, schema.event.c.detail
                ).order_by(schema.event.c.sequence)
            ).all()
            (receipt,) = connection.execute(select(schema.receipt)).all()
        database.close()
    assert [event.sequence for event in events] == list(range(1, RECORDS + 1))
    for event in events:
        expected = REFUSED_RECORD if event.sequence in bad else "started"
        assert event.kind == expected
        assert expected == REFUSED_RECORD or event.detail == str(event.sequence)
    assert (receipt.records, receipt.refused) == (RECORDS, len(bad))


def test_a_damaged_record_has_the_number_of_its_place() -> None:
    numbered = numbering.number([damaged(1), good(7), damaged(2), damaged(3), good(12)])
    assert numbered is not None
    assert [one.sequence for one in numbered] == [6, 7, 8, 9, 12]
    assert [one.record is None for one in numbered] == [True, False, True, True, False]


def test_a_record_without_a_number_is_damaged() -> None:
    assert numbering.decode(b"") is None
    assert numbering.decode(good(0)) is None


def test_numbers_beyond_all_bounds_are_refused() -> None:
    with pytest.raises(InvalidInput, match="in order"):
        numbering.number([good(2**64 - 1)])
    with pytest.raises(InvalidInput, match="in order"):
        numbering.number([good(3), good(3)])


numbers = st.one_of(
    st.floats(), st.sampled_from([1.7976931348623157e308, -1.7e308, 1e154, -1e100, 1e101, 0.0])
)
times = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([-(2**63), 2**63 - 1, 10**15, 10**15 + 1, 0, 86_400_000]),
)
row_counts = st.one_of(
    st.integers(0, 2**64 - 1), st.sampled_from([2**64 - 1, 2**63, 2**63 - 1, 10**12])
)
requests = st.sampled_from(["r1", "r2", "r3"])

labels = st.builds(
    lambda request, at, value: hub_pb2.Record(
        label=hub_pb2.Label(model="eta", request_id=request, at_unix_ms=at, value=value)
    ),
    requests,
    times,
    numbers,
)
predictions = st.builds(
    lambda request, at, value: hub_pb2.Record(
        predictions=hub_pb2.Predictions(
            digest=DIGEST, request_ids=[request], at_unix_ms=[at], values=[value]
        )
    ),
    requests,
    times,
    numbers,
)
windows = st.builds(
    lambda start, end, rows: hub_pb2.Record(
        window=hub_pb2.Window(
            digest="f" * 64,
            route="eta",
            started_at_unix_ms=start,
            ended_at_unix_ms=end,
            rows=rows,
            window=b"unread",
        )
    ),
    times,
    times,
    row_counts,
)
refusals = st.builds(
    lambda at: hub_pb2.Record(refusal=hub_pb2.Refusal(digest=DIGEST, at_unix_ms=at)), times
)
events = st.builds(
    lambda at: hub_pb2.Record(recorded_at_unix_ms=at, event=hub_pb2.Event(kind="noted")), times
)


def with_package(folder: Path, first_start: Path) -> Database:
    shutil.copytree(first_start, folder / "hub")
    database = Database.in_folder(folder / "hub")
    with database.write() as connection:
        connection.execute(
            schema.version.insert().values(
                digest=DIGEST,
                name="eta",
                version="1",
                format="onnx",
                manifest={},
                envelopes=[],
                profile=b"",
                published_at=1,
                publisher="ada",
            )
        )
    World(database).node("n", assigned=[DIGEST])
    return database


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    records=st.lists(
        st.one_of(labels, predictions, windows, refusals, events), min_size=1, max_size=12
    )
)
def test_no_record_blocks_another_whatever_its_numbers(
    first_start: Path, records: list[hub_pb2.Record]
) -> None:
    """All are acknowledged, the good ones are stored, and all sums stay finite."""
    data = []
    for sequence, record in enumerate(records, start=1):
        record.sequence = sequence
        data.append(record.SerializeToString())
    data.append(good(len(records) + 1))
    with tempfile.TemporaryDirectory() as folder:
        database = with_package(Path(folder), first_start)
        telemetry = Telemetry(database, Catalogue())
        assert telemetry.upload("n", "b", data) == len(data)
        assert telemetry.upload("n", "b", [good(len(data) + 1)]) == len(data) + 1
        with database.read() as connection:
            kinds = connection.scalars(select(schema.event.c.kind)).all()
            (receipt,) = connection.execute(select(schema.receipt)).all()
            sums = connection.execute(select(schema.loss)).all()
            tallies = connection.scalars(select(schema.tally.c.rows)).all()
        database.close()
    assert kinds.count("started") == 2
    assert kinds.count(REFUSED_RECORD) == receipt.refused
    assert receipt.records == len(data) + 1
    for row in sums:
        assert all(map(math.isfinite, (row.error, row.absolute_error, row.squared_error)))
    assert all(isinstance(rows, int) and 0 <= rows < 2**53 for rows in tallies)


def test_labels_of_both_infinite_errors_block_nothing(first_start: Path, tmp_path: Path) -> None:
    """Errors of +inf and -inf sum to NaN, which SQL stores as NULL and refuses."""
    database = with_package(tmp_path, first_start)
    telemetry = Telemetry(database, Catalogue())
    records = [
        hub_pb2.Record(
            sequence=1,
            predictions=hub_pb2.Predictions(
                digest=DIGEST,
                request_ids=["r1", "r2", "r3"],
                at_unix_ms=[1, 1, 1],
                values=[1.7e308, -1.7e308, 5.0],
            ),
        ),
        *(
            hub_pb2.Record(
                sequence=2 + place,
                label=hub_pb2.Label(model="eta", request_id=request, value=value),
            )
            for place, (request, value) in enumerate(
                [("r1", -1.7e308), ("r2", 1.7e308), ("r3", 4.0)]
            )
        ),
        hub_pb2.Record(sequence=5, event=hub_pb2.Event(kind="started")),
    ]
    data = [record.SerializeToString() for record in records]
    assert telemetry.upload("n", "b", data) == 5
    with database.read() as connection:
        (loss,) = connection.execute(select(schema.loss)).all()
        (receipt,) = connection.execute(select(schema.receipt)).all()
        refused = connection.scalars(
            select(schema.event.c.detail).where(schema.event.c.kind == REFUSED_RECORD)
        ).all()
    database.close()
    assert (loss.count, loss.error, loss.squared_error) == (1, 1.0, 1.0)
    assert (receipt.records, receipt.refused) == (5, 2)
    assert all("expected a finite number of at most 1e+100" in detail for detail in refused)


@pytest.mark.both_databases
@pytest.mark.parametrize("column", ["started_at", "ended_at", "rows"])
def test_what_sql_cannot_store_is_set_aside_and_the_rest_is_stored(
    database: Database, monkeypatch: pytest.MonkeyPatch, column: str
) -> None:
    """Whatever gets past the checks of today: one record costs itself and no other."""
    read = RecordReader.read

    def read_unchecked(self: RecordReader, one: numbering.NumberedRecord) -> Rows:
        rows = read(self, one)
        for window in rows.windows:
            window[column] = 2**63 if window["rows"] == 7 else window[column]
        return rows

    monkeypatch.setattr(RecordReader, "read", read_unchecked)
    World(database).publish("eta", "1")
    telemetry = Telemetry(database, Catalogue())
    records = [
        hub_pb2.Record(
            sequence=sequence, window=hub_pb2.Window(digest="f" * 64, route="eta", rows=rows)
        )
        for sequence, rows in enumerate((5, 7, 6), start=1)
    ]
    assert telemetry.upload("n", "b", [one.SerializeToString() for one in records]) == 3
    with database.read() as connection:
        tallied = connection.scalar(select(schema.tally.c.rows))
        stored = connection.scalars(select(schema.window.c.sequence)).all()
        (event,) = connection.execute(select(schema.event)).all()
        (receipt,) = connection.execute(select(schema.receipt)).all()
    assert tallied == 11
    assert sorted(stored) == [1, 3]
    assert (event.sequence, event.kind) == (2, REFUSED_RECORD)
    assert (receipt.records, receipt.refused, receipt.watermark) == (3, 1, 3)


@pytest.mark.both_databases
def test_counts_stop_at_the_largest_exact_integer(database: Database) -> None:
    World(database).publish("eta", "1")
    telemetry = Telemetry(database, Catalogue())
    with database.write() as connection:
        row = {"model": "eta", "version": "", "node": "n", "shadow": False, "outcome": "unread"}
        connection.execute(schema.tally.insert().values(rows=2**63 - 10, **row))
    window = hub_pb2.Window(digest="f" * 64, route="eta", rows=10**12)
    assert telemetry.upload(
        "n", "b", [hub_pb2.Record(sequence=1, window=window).SerializeToString()]
    )
    with database.read() as connection:
        assert connection.scalar(select(schema.tally.c.rows)) == 2**53 - 1


@pytest.mark.both_databases
def test_records_that_the_node_still_has_are_taken_again_in_order(database: Database) -> None:
    telemetry = Telemetry(database, Catalogue())
    assert telemetry.upload("n", "b", [good(1), good(2)]) == 2
    assert telemetry.find_lost("n", {"b": 5, "other": 3, "here": 0}) == {"b": 2, "other": 0}
    assert telemetry.find_lost("n", {"b": 2}) == {}
    for _ in range(2):  # the answer was lost
        with pytest.raises(RecordsMissing) as missing:
            telemetry.upload("n", "b", [good(6)], acknowledged=5, kept_from=1)
        assert missing.value.watermark == 2
    assert telemetry.upload("n", "b", [good(3), good(4)], acknowledged=2, kept_from=1) == 4
    # Of the next five only the last is there still.
    with pytest.raises(RecordsMissing):
        telemetry.upload("n", "b", [good(10)], acknowledged=9, kept_from=9)
    assert telemetry.upload("n", "b", [good(9), good(10)], acknowledged=8, kept_from=9) == 10
    with database.read() as connection:
        lost = connection.scalars(
            select(schema.event.c.detail).where(schema.event.c.kind == RECORDS_LOST)
        ).all()
    (detail,) = lost
    assert detail.startswith("records 5 to 8 of boot b ")


@pytest.mark.both_databases
def test_records_that_a_restored_hub_has_lost_are_named_once(database: Database) -> None:
    telemetry = Telemetry(database, Catalogue())
    assert telemetry.upload("n", "b", [good(1), good(2)]) == 2
    assert telemetry.upload("n", "b", [good(3)], acknowledged=2) == 3
    for _ in range(2):  # the answer was lost
        assert telemetry.upload("n", "b", [good(41), good(42)], acknowledged=40) == 42
    assert telemetry.upload("n", "b", [good(43)], acknowledged=42) == 43
    assert telemetry.upload("n", "other", [good(8)], acknowledged=7) == 8
    with database.read() as connection:
        lost = connection.execute(
            select(schema.event.c.boot, schema.event.c.detail)
            .where(schema.event.c.kind == RECORDS_LOST)
            .order_by(schema.event.c.position)
        ).all()
    assert [boot for boot, _ in lost] == ["b", "other"]
    assert "records 4 to 40 of boot b" in lost[0].detail
    assert "records 1 to 7 of boot other" in lost[1].detail


@pytest.mark.both_databases
def test_windows_of_a_package_that_this_gnomon_refuses_are_counted(database: Database) -> None:
    """A node of an older Gnomon still predicts with it; the doctor names it while in service."""
    world = World(database)
    # Profiles are kept by digest, and other tests publish eta@1.
    digest = world.publish("eta", "older")
    world.place("eta", "older")
    world.node("n", assigned=[digest])
    with database.write() as connection:
        older = {"profile": b'{"of": "an older Gnomon"}', "manifest": {"files": []}}
        connection.execute(update(schema.version).values(**older))
    record = hub_pb2.Record(sequence=1, window=hub_pb2.Window(digest=digest, route="eta", rows=7))
    assert Telemetry(database, Catalogue()).upload("n", "b", [record.SerializeToString()]) == 1
    with database.read() as connection:
        (window,) = connection.execute(select(schema.window)).all()
        found = doctor.check_in_service(connection)
    assert (window.model, window.version, window.rows) == ("eta", "", 7)
    assert found.examined == 1
    assert found.faults[0].startswith("eta@older: profile: ")
