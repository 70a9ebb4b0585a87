"""A hub that is killed at any moment comes up on the same data; nothing acknowledged is lost."""

import dataclasses
import json
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from sqlalchemy import func, select

from gnomon.proto import hub_pb2
from gnomon.runtime.errors import GnomonError
from gnomon.server.hub.process import run_hub
from gnomon.server.hub.settings import HubAddresses, HubSettings
from gnomon.server.hub.store import audit, schema
from gnomon.server.hub.store.database import Database
from tests.support.waiting import wait_for

KILLS = 10
START_SECONDS = 30

# Imports once what every life of the hub needs, and forks it: a life costs a quarter of a second.
LIVES = multiprocessing.get_context("forkserver")
LIVES.set_forkserver_preload(["gnomon.server.hub.process"])


class Process:
    """A hub in a process of its own, on the same ports and data in each of its lives."""

    def __init__(self, settings: HubSettings) -> None:
        self.settings = settings
        self.start()

    def start(self) -> None:
        ours, theirs = LIVES.Pipe(duplex=False)
        self.child = LIVES.Process(target=run_hub, args=(self.settings, theirs.send))
        self.child.start()
        theirs.close()
        assert ours.poll(START_SECONDS), "the hub did not become ready"
        self.addresses = ours.recv()
        ours.close()
        self.settings = dataclasses.replace(
            self.settings,
            rest_port=port_of(self.addresses.rest),
            enrolment_port=port_of(self.addresses.enrolment),
            sync_port=port_of(self.addresses.sync),
        )

    def end(self, number: int) -> int | None:
        assert self.child.pid
        os.kill(self.child.pid, number)
        self.child.join(START_SECONDS)
        return self.child.exitcode

    def close(self) -> None:
        if self.child.is_alive():
            self.child.kill()
            self.child.join(START_SECONDS)


def port_of(address: str) -> int:
    return int(address.rpartition(":")[2])


@pytest.fixture
def process(settings: HubSettings) -> Iterator[Process]:
    process = Process(dataclasses.replace(settings, tick_seconds=0.05))
    yield process
    process.close()


@pytest.fixture
def caller(process: Process, caller_of: Callable[[HubAddresses], Any]) -> Any:
    return caller_of(process.addresses)


def batch(first: int, size: int) -> list[bytes]:
    return [
        hub_pb2.Record(
            sequence=sequence,
            window=hub_pb2.Window(digest="d" * 64, route="eta", rows=sequence, window=b"w"),
        ).SerializeToString()
        for sequence in range(first, first + size)
    ]


class Uploader(threading.Thread):
    """A node that sends until it is told to stop, again and again whatever happens."""

    def __init__(self, party: Any) -> None:
        super().__init__(daemon=True)
        self.party = party
        self.acknowledged = 0
        self.enough = threading.Event()

    def run(self) -> None:
        while not self.enough.is_set():
            try:
                self.acknowledged = self.party.upload(*batch(self.acknowledged + 1, 20))
            except (grpc.RpcError, GnomonError):
                time.sleep(0.02)


@pytest.mark.slow
def test_ten_kills_lose_nothing_and_count_nothing_twice(
    process: Process,
    caller: Any,
    settings: HubSettings,
    builder: Any,
    make: Callable[..., Any],
) -> None:
    builder.publish(make())
    uploaders = [Uploader(caller.enrol("node", f"device-{number}")) for number in range(3)]
    for uploader in uploaders:
        uploader.start()
    seen: list[list[int]] = [[] for _ in uploaders]
    for kill in range(KILLS):
        before = [one.acknowledged for one in uploaders]
        wait_for(
            lambda before=before: all(
                one.acknowledged > was for one, was in zip(uploaders, before, strict=True)
            ),
            START_SECONDS,
        )
        time.sleep(0.013 * kill)
        process.end(signal.SIGKILL)
        for one, uploader in zip(seen, uploaders, strict=True):
            one.append(uploader.acknowledged)
        process.start()
    for uploader in uploaders:
        uploader.enough.set()
        uploader.join(START_SECONDS)
        assert not uploader.is_alive()

    process.end(signal.SIGKILL)
    columns = schema.window.c
    with Database.in_folder(settings.data_folder).read() as connection:
        for number, uploader in enumerate(uploaders):
            assert seen[number] == sorted(set(seen[number])), "every life took records in"
            of_node = columns.node == f"device-{number}"
            stored = connection.scalars(
                select(columns.sequence).where(of_node).order_by(columns.position)
            ).all()
            (receipt,) = connection.execute(
                select(schema.receipt).where(schema.receipt.c.node == f"device-{number}")
            ).all()
            rows = connection.scalar(select(func.sum(columns.rows)).where(of_node))
            assert stored == list(range(1, receipt.watermark + 1))
            assert receipt.watermark >= uploader.acknowledged
            assert receipt.records == receipt.watermark
            assert rows == receipt.watermark * (receipt.watermark + 1) // 2


@pytest.mark.slow
def test_a_publication_that_is_killed_leaves_the_old_state_or_the_new(
    process: Process, caller: Any, settings: HubSettings, make: Callable[..., Any]
) -> None:
    builder = caller.enrol("builder", "ada")
    package = make()
    for number in range(4):
        thread = threading.Thread(target=attempt, args=(builder, package, 1))
        thread.start()
        time.sleep(0.004 * number)
        process.end(signal.SIGKILL)
        thread.join(START_SECONDS)
        with Database.in_folder(settings.data_folder).read() as connection:
            found = connection.scalars(select(schema.version.c.digest)).all()
            published = connection.scalar(
                select(func.count())
                .select_from(schema.audit)
                .where(schema.audit.c.action == "publish")
            )
            assert found in ([], [package.digest])
            assert published == len(found)
            assert audit.verify_chain(connection).intact
        process.start()
    attempt(builder, package, START_SECONDS)
    assert [one["digest"] for one in caller.get("models/eta/versions")] == [package.digest]
    reader = caller.enrol("builder", "reader")
    assert reader.blobs(package.digest) == [package.manifest_bytes]


@pytest.mark.slow
def test_what_happened_before_a_kill_is_reported_after_it(
    process: Process, caller: Any, make: Callable[..., Any], receiver: Any
) -> None:
    """At least once, each with one id, although the hub is killed before, in or after telling."""
    caller.post("webhooks", name="board", url=receiver.url, events=["version.published"])
    builder = caller.enrol("builder", "ada")
    for number in range(5):
        attempt(builder, make(str(number)), START_SECONDS)
        time.sleep(0.03 * number)
        process.end(signal.SIGKILL)
        process.start()

    def told() -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for _, body in receiver.got:
            message = json.loads(body)
            found.setdefault(message["subject"], set()).add(message["id"])
        return found

    with receiver.arrived:
        # One that was in a killed hub's hands waits for its lease to end.
        assert receiver.arrived.wait_for(lambda: len(told()) == 5, 90)
    assert all(len(ids) == 1 for ids in told().values())


def attempt(builder: Any, package: Any, seconds: float) -> None:
    """Publish until the hub has answered, or the time is over."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            builder.publish(package)
            return
        except grpc.RpcError:
            time.sleep(0.02)


def test_a_restart_keeps_certificates_and_generations(process: Process, caller: Any) -> None:
    node = caller.enrol("node", "device-1")
    before = node.exchange()
    assert process.end(signal.SIGKILL) == -signal.SIGKILL
    process.start()
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            assert node.exchange().desired == before.desired
            break
        except grpc.RpcError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert process.addresses == caller.addresses


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopped_it_ends_well(process: Process, number: int) -> None:
    assert process.end(number) == 0


@pytest.fixture
def careless(settings: HubSettings) -> Iterator[None]:
    """A folder that others may read, and a user whose files all may read; before the hub."""
    settings.data_folder.chmod(0o755)
    (settings.data_folder / "hub.db").chmod(0o644)
    umask = os.umask(0)
    yield
    os.umask(umask)


def test_the_hubs_files_are_its_owners_alone(
    careless: None, process: Process, caller: Any, settings: HubSettings, make: Callable[..., Any]
) -> None:
    caller.enrol("builder", "ada").publish(make("1"))
    paths = [settings.data_folder, *settings.data_folder.rglob("*")]
    assert {path.name for path in paths} >= {"hub.db", "hub.db-wal", "blobs", "local.key"}
    public = (settings.data_folder / "authority.pem",)
    assert [path for path in paths if path.stat().st_mode & 0o077 and path not in public] == []


def test_settings_out_of_range_are_named() -> None:
    with pytest.raises(ValueError, match="rest_port should be 0 to 65535"):
        HubSettings(rest_port=70_000)
    with pytest.raises(ValueError, match="tick_seconds should be above 0"):
        HubSettings(tick_seconds=0)
