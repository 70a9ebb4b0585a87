"""Nodes learn what they should be, and what they tell counts exactly once."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sqlalchemy import func, select

from gnomon.core.window import ANSWERED_CODE, REFUSED_CODE
from gnomon.proto import hub_pb2
from gnomon.runtime.errors import InvalidInput, NotFound
from gnomon.runtime.packages.package import Package
from gnomon.server.hub.ingest.records import REFUSED_RECORD
from gnomon.server.hub.process import Hub
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.clock import new_id, now_ms

pytestmark = pytest.mark.both_databases

Make = Callable[..., Package]
ONNX = {"engines": "onnx"}


def window_record(package: Package, sequence: int, answered: int, refused: int) -> hub_pb2.Record:
    window = package.profile.new_window()
    window.observe(ANSWERED_CODE, 1_000, answered)
    window.observe(REFUSED_CODE, 1_000, refused)
    return hub_pb2.Record(
        sequence=sequence,
        window=hub_pb2.Window(
            digest=package.digest,
            route="eta",
            started_at_unix_ms=0,
            ended_at_unix_ms=3_600_000,
            rows=answered + refused,
            window=window.to_bytes(),
        ),
    )


def event_record(sequence: int, kind: str = "started") -> hub_pb2.Record:
    return hub_pb2.Record(sequence=sequence, event=hub_pb2.Event(kind=kind, detail="d"))


def tell(node: Any, caller: Any) -> None:
    """Let a node know that it should run eta@1."""
    caller.post("placements", model="eta", version="1")
    node.exchange(facts=ONNX)


def rows_in(hub: Hub, table: Any) -> int:
    with hub.services.database.read() as connection:
        return connection.scalar(select(func.count()).select_from(table))


def test_a_node_receives_what_is_in_service(
    builder: Any, node: Any, caller: Any, make: Make
) -> None:
    empty = node.exchange(facts=ONNX)
    assert empty.call_again_ms == 250
    assert abs(empty.hub_time_unix_ms - now_ms()) < 60_000
    assert not empty.desired.packages

    package = make()
    builder.publish(package)
    caller.post("placements", model="eta", version="1")
    desired = node.exchange(facts=ONNX).desired
    assert desired.generation > empty.desired.generation
    (told,) = desired.packages
    assert told.digest == package.digest
    assert list(told.envelopes) == list(package.envelopes)
    (route,) = desired.routes
    assert route.name == "eta"
    assert [(target.digest, target.weight) for target in route.targets] == [(package.digest, 1000)]
    assert route.fallback_digest == ""

    assert node.exchange(facts=ONNX).desired == desired
    assert not caller.post("placements", model="eta", version="1")["changed"]
    assert node.exchange(facts=ONNX).desired == desired


def test_a_node_gets_the_format_that_it_wants_most(
    builder: Any, node: Any, caller: Any, make: Make
) -> None:
    onnx, tflite = make(), make(format="tflite")
    builder.publish(onnx)
    builder.publish(tflite)
    caller.post("placements", model="eta", version="1")

    def digests(engines: str) -> list[str]:
        desired = node.exchange(facts={"engines": engines}).desired
        return [package.digest for package in desired.packages]

    assert digests("onnx, tflite") == [onnx.digest]
    assert digests("tflite,onnx") == [tflite.digest]
    assert digests("sklearn") == []


def test_a_rollout_splits_the_traffic(
    hub: Hub, builder: Any, node: Any, caller: Any, make: Make
) -> None:
    first, second = make(), make("2")
    builder.publish(first)
    builder.publish(second)
    caller.post("placements", model="eta", version="1")
    before = node.exchange(facts=ONNX).desired.generation
    with hub.services.database.change("ada") as change:
        change.execute(
            schema.rollout.insert().values(
                id=new_id(),
                model="eta",
                champion="1",
                candidate="2",
                state="running",
                weight=100,
                shadow=50,
                step=0,
                plan={},
                created_at=0,
                updated_at=0,
                actor="ada",
            )
        )
        change.audit("start_rollout", "eta@2")
    desired = node.exchange(facts=ONNX).desired
    assert desired.generation > before
    (route,) = desired.routes
    weights = {target.digest: target.weight for target in route.targets}
    assert weights == {first.digest: 900, second.digest: 100}
    assert route.fallback_digest == first.digest
    assert [(shadow.digest, shadow.weight) for shadow in route.shadows] == [(second.digest, 50)]
    assert {package.digest for package in desired.packages} == {first.digest, second.digest}


def test_what_a_node_reports_is_listed(node: Any, caller: Any) -> None:
    told = node.exchange(facts={"engines": "onnx", "kind": "agent"}).desired.generation
    node.exchange(
        sequence=1,
        reported=hub_pb2.ReportedState(
            generation=told,
            state=hub_pb2.TRIAL,
            digests=["d" * 64],
            refused_generation=2**64 - 1,
            reason="golden samples differ",
        ),
        spool=hub_pb2.SpoolFigures(records=4, bytes=5, merged=6, dropped=7),
        facts={"engines": "onnx", "kind": "agent"},
    )
    (listed,) = caller.get("nodes")
    assert listed["name"] == "device-1"
    assert listed["state"] == "TRIAL"
    assert listed["reported_generation"] == told
    assert listed["refused_generation"] == 0  # this hub never told it
    assert listed["reason"] == "golden samples differ"
    assert listed["spool"] == {"records": 4, "bytes": 5, "merged": 6, "dropped": 7}
    assert listed["facts"]["kind"] == "agent"


def test_too_many_facts_are_refused(node: Any) -> None:
    with pytest.raises(InvalidInput, match="facts should be at most"):
        node.exchange(facts={str(number): "x" for number in range(65)})


def test_a_blob_that_is_not_there_is_named(builder: Any) -> None:
    with pytest.raises(NotFound, match="0" * 64):
        builder.blobs("0" * 64)
    with pytest.raises(InvalidInput, match="not a digest"):
        builder.blobs("../hub.db")


def test_a_node_learns_with_its_call_what_the_hub_has_lost(node: Any) -> None:
    assert node.upload(event_record(1), event_record(2)) == 2
    assert not node.exchange(acknowledged={"b": 2}).watermarks
    assert node.exchange(acknowledged={"b": 9, "idle": 4}).watermarks == {"b": 2, "idle": 0}
    records = [event_record(10).SerializeToString()]
    request = hub_pb2.UploadRequest(boot="b", records=records, acknowledged=9, kept_from=1)
    response = node.sync.Upload(request, timeout=10)
    assert (response.watermark, response.send_again) == (2, True)


def test_windows_are_counted_once_and_by_outcome(
    hub: Hub, builder: Any, node: Any, caller: Any, make: Make
) -> None:
    package = make()
    builder.publish(package)
    tell(node, caller)
    records = [window_record(package, 1, 10, 2), window_record(package, 2, 5, 0)]
    assert node.upload(*records) == 2
    assert node.upload(*records, window_record(package, 3, 1, 1)) == 3
    assert node.upload(*records) == 3
    counted = {row["outcome"]: row["rows"] for row in caller.get("counts", model="eta")}
    assert counted["answered"] == 16
    assert counted["refused"] == 3
    assert sum(counted.values()) == 19
    assert rows_in(hub, schema.window) == 3


def test_every_kind_of_record_is_stored(
    hub: Hub, builder: Any, node: Any, caller: Any, make: Make
) -> None:
    package = make()
    builder.publish(package)
    tell(node, caller)
    predictions = hub_pb2.Predictions(
        digest=package.digest,
        request_ids=[f"r{number}" for number in range(2_000)],
        at_unix_ms=[1] * 2_000,
        values=np.arange(2_000.0),
    )
    refusal = hub_pb2.Refusal(
        digest=package.digest, request_id="x", field="distance", rule="minimum", value="-1"
    )
    label = hub_pb2.Label(model="eta", request_id="r7", at_unix_ms=2, value=9.0)
    watermark = node.upload(
        hub_pb2.Record(sequence=1, predictions=predictions),
        hub_pb2.Record(sequence=2, refusal=refusal),
        hub_pb2.Record(sequence=3, label=label),
        event_record(4),
    )
    assert watermark == 4
    tables = (schema.prediction, schema.refusal, schema.label, schema.event)
    assert [rows_in(hub, table) for table in tables] == [2_000, 1, 1, 1]
    assert caller.get("events")[0]["kind"] == "started"


@pytest.mark.parametrize(
    "bad",
    [
        b"\xff\xff\xff",
        hub_pb2.Record(sequence=2).SerializeToString(),
        hub_pb2.Record(
            sequence=2, label=hub_pb2.Label(model="eta", request_id="r", value=float("nan"))
        ).SerializeToString(),
        hub_pb2.Record(
            sequence=2, predictions=hub_pb2.Predictions(request_ids=["a"])
        ).SerializeToString(),
        hub_pb2.Record(
            sequence=2, window=hub_pb2.Window(rows=2**64 - 1, route="eta")
        ).SerializeToString(),
    ],
)
def test_a_bad_record_is_noted_and_blocks_nothing(node: Any, caller: Any, bad: bytes) -> None:
    batch = (event_record(1), bad, event_record(3))
    assert node.upload(*batch) == 3
    assert node.upload(*batch) == 3
    events = caller.get("events")
    assert [event["sequence"] for event in events] == [3, 2, 1]
    assert [event["kind"] for event in events] == ["started", REFUSED_RECORD, "started"]


def test_text_that_sql_cannot_store_blocks_nothing(hub: Hub, node: Any, caller: Any) -> None:
    event = hub_pb2.Event(kind="started", detail="before\0after ü")
    refusal = hub_pb2.Refusal(request_id="\0", field="a\0", rule="minimum", value="\0")
    node.upload(
        hub_pb2.Record(sequence=1, event=event), hub_pb2.Record(sequence=2, refusal=refusal)
    )
    assert caller.get("events")[0]["detail"] == "before\N{REPLACEMENT CHARACTER}after ü"
    assert rows_in(hub, schema.refusal) == 1


def test_a_damaged_window_is_noted(builder: Any, node: Any, caller: Any, make: Make) -> None:
    package = make()
    builder.publish(package)
    tell(node, caller)
    record = window_record(package, 1, 3, 0)
    record.window.window = record.window.window[:-1] + b"\0"
    assert node.upload(record) == 1
    assert caller.get("counts") == []
    assert "SHA-256" in caller.get("events")[0]["detail"]


def test_damage_alone_moves_the_watermark_once(node: Any, caller: Any) -> None:
    assert node.upload(event_record(1)) == 1
    assert node.upload(b"\xff\xff") == 2
    assert node.upload(b"\xff\xff") == 2
    assert node.upload(event_record(3)) == 3
    assert len(caller.get("events")) == 3


def test_windows_of_an_unknown_package_are_kept_unread(
    builder: Any, node: Any, caller: Any, make: Make
) -> None:
    builder.publish(make())
    window = hub_pb2.Window(digest="d" * 64, route="eta", rows=12, window=b"later")
    assert node.upload(hub_pb2.Record(sequence=1, window=window)) == 1
    (row,) = caller.get("counts")
    assert (row["model"], row["outcome"], row["rows"]) == ("eta", "unread", 12)


def test_records_out_of_order_are_refused_whole(hub: Hub, node: Any) -> None:
    with pytest.raises(InvalidInput, match="in order"):
        node.upload(event_record(2), event_record(1))
    with pytest.raises(InvalidInput, match="boot"):
        node.upload(event_record(1), boot="")
    assert rows_in(hub, schema.event) == 0


def test_each_boot_counts_for_itself(hub: Hub, node: Any) -> None:
    assert node.upload(event_record(1), boot="one") == 1
    assert node.upload(event_record(1), boot="two") == 1
    assert node.upload(event_record(5), boot="two") == 5
    assert rows_in(hub, schema.event) == 3


def test_two_calls_at_once_count_once(hub: Hub, node: Any) -> None:
    batch = [event_record(sequence) for sequence in range(1, 201)]
    watermarks: list[int] = []
    threads = [
        threading.Thread(target=lambda: watermarks.append(node.upload(*batch))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert watermarks == [200] * 4
    assert rows_in(hub, schema.event) == 200
