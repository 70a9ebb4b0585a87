"""Uploads that come together are stored together, and each is answered as if it had come alone."""

import threading
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import event, select

from gnomon.proto import hub_pb2
from gnomon.runtime.errors import GnomonError, StorageError
from gnomon.server.hub.ingest import storing
from gnomon.server.hub.ingest.batch import RecordsMissing, Upload
from gnomon.server.hub.ingest.group_commit import GroupCommit
from gnomon.server.hub.ingest.numbering import NumberedRecord
from gnomon.server.hub.ingest.records import RecordReader, Rows, Sender
from gnomon.server.hub.ingest.telemetry import Telemetry
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.database import Database
from gnomon.server.hub.versions.catalogue import Catalogue
from tests.support.hub_world import World
from tests.support.waiting import wait_for


def window(sequence: int) -> bytes:
    body = hub_pb2.Window(digest="f" * 64, route="eta", rows=sequence)
    return hub_pb2.Record(sequence=sequence, window=body).SerializeToString()


def upload_of(node: str, *sequences: int, **options: Any) -> Upload:
    return Upload(node, "b", [window(one) for one in sequences or (1, 2)], **options)


def stored(database: Database) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    columns = schema.window.c
    with database.read() as connection:
        for node, sequence in connection.execute(
            select(columns.node, columns.sequence).order_by(columns.node, columns.sequence)
        ):
            found.setdefault(node, []).append(sequence)
    return found


def tallied(database: Database) -> dict[str, int]:
    columns = schema.tally.c
    with database.read() as connection:
        return {
            row.node: row.rows for row in connection.execute(select(columns.node, columns.rows))
        }


@pytest.fixture
def telemetry(database: Database) -> Telemetry:
    World(database).publish("eta", "1")
    return Telemetry(database, Catalogue())


def too_large_for_sql(monkeypatch: pytest.MonkeyPatch) -> None:
    read = RecordReader.read

    def read_unchecked(self: RecordReader, one: NumberedRecord) -> Rows:
        rows = read(self, one)
        for row in rows.windows:
            row["started_at"] = 2**63 if row["node"] == "bad" else 0
        return rows

    monkeypatch.setattr(RecordReader, "read", read_unchecked)


def fails_when_stored(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    store_rows = storing._store_rows

    def store(connection: Any, parts: Sequence[tuple[Sender, Rows]]) -> None:
        store_rows(connection, parts)
        if any(sender.node == "bad" for sender, _ in parts):
            raise error

    monkeypatch.setattr(storing, "_store_rows", store)


@pytest.mark.both_databases
@pytest.mark.parametrize("how", ["numbers", "lost", "unstorable", "unknown", "unexpected"])
def test_a_wrong_upload_costs_the_others_nothing(
    database: Database, telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    bad = upload_of("bad")
    if how == "numbers":
        bad = upload_of("bad", 2, 1)
    elif how == "lost":
        bad = upload_of("bad", 6, acknowledged=5, kept_from=1)
    elif how == "unstorable":
        too_large_for_sql(monkeypatch)
    elif how == "unknown":
        fails_when_stored(monkeypatch, GnomonError("no such model"))
    else:
        fails_when_stored(monkeypatch, RuntimeError("never seen"))
    uploads = [upload_of("n1"), bad, upload_of("n2")]
    telemetry.store_uploads(uploads)
    assert [one.watermark for one in uploads if one is not bad] == [2, 2]
    assert stored(database) == {"n1": [1, 2], "n2": [1, 2]}
    assert tallied(database) == {"n1": 3, "n2": 3}
    if how == "unstorable":  # each of its records became an event
        assert bad.answer() == 2
        return
    expected = {"lost": RecordsMissing, "unexpected": RuntimeError}.get(how, GnomonError)
    with pytest.raises(expected):
        bad.answer()


def test_a_database_that_fails_fails_for_all_and_stores_nothing(
    database: Database, telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails_when_stored(monkeypatch, StorageError("the disk is full"))
    uploads = [upload_of("n1"), upload_of("bad")]
    telemetry.store_uploads(uploads)
    for upload in uploads:
        with pytest.raises(StorageError, match="full"):
            upload.answer()
    assert stored(database) == {}


def test_an_upload_of_what_was_stored_meanwhile_is_stored_again_by_its_number(
    database: Database, telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another hub of the database takes the same records between reading and writing."""
    other, read = Telemetry(database, Catalogue()), RecordReader.read

    def read_late(self: RecordReader, one: NumberedRecord) -> Rows:
        monkeypatch.setattr(RecordReader, "read", read)
        rows = read(self, one)
        thread = threading.Thread(target=other.upload, args=("n1", "b", [window(1)]))
        thread.start()
        thread.join()
        return rows

    monkeypatch.setattr(RecordReader, "read", read_late)
    assert telemetry.upload("n1", "b", [window(1), window(2)]) == 2
    assert stored(database) == {"n1": [1, 2]}
    assert tallied(database) == {"n1": 3}


def test_many_uploads_commit_once(database: Database, telemetry: Telemetry) -> None:
    commits = []
    event.listen(database.engine, "commit", commits.append)
    telemetry.store_uploads([upload_of(f"n{number}") for number in range(20)])
    together = len(commits)
    telemetry.upload("alone", "b", [window(1)])
    assert len(commits) == 2 * together


class Item:
    def __init__(self, key: int, size: int = 1) -> None:
        self.key, self.size, self.is_done = key, size, False


def test_threads_that_wait_are_stored_together_in_order_and_within_the_limit() -> None:
    groups: list[list[Item]] = []
    is_first, may_end = threading.Event(), threading.Event()

    def store(items: Sequence[Item]) -> None:
        groups.append(list(items))
        if len(groups) == 1:
            is_first.set()
            may_end.wait(20)
        for item in items:
            item.is_done = True

    commit = GroupCommit(store, largest=4)
    items = [Item(0), Item(1), Item(1), Item(2), Item(3, size=3), Item(4, size=9)]
    threads = [threading.Thread(target=commit.run, args=(item,)) for item in items]
    threads[0].start()
    assert is_first.wait(20)
    for number, thread in enumerate(threads[1:], start=1):
        thread.start()
        wait_for(lambda waiting=number: len(commit._queue) == waiting)
    may_end.set()
    for thread in threads:
        thread.join(20)
    assert groups == [[items[0]], [items[1], items[3]], [items[2], items[4]], [items[5]]]


def test_an_item_that_is_left_undone_is_stored_again() -> None:
    calls = []

    def store(items: Sequence[Item]) -> None:
        calls.append(len(items))
        items[0].is_done = len(calls) == 3

    GroupCommit(store, largest=4).run(Item(0))
    assert calls == [1, 1, 1]


def test_what_the_storage_raises_leaves_nothing_behind() -> None:
    def store(items: Sequence[Item]) -> None:
        raise KeyboardInterrupt

    commit = GroupCommit(store, largest=4)
    with pytest.raises(KeyboardInterrupt):
        commit.run(Item(0))
    assert commit._queue == []
