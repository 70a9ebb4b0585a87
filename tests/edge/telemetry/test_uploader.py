"""Telemetry reaches the hub over links of any speed."""

import secrets
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gnomon.edge.settings import NodeSettings
from gnomon.edge.telemetry import uploader
from gnomon.edge.telemetry.spool import Spool
from gnomon.edge.telemetry.uploader import MOST_BATCH_BYTES, Uploader
from gnomon.proto import hub_pb2
from gnomon.runtime.enrolment.enrolment import Enrolment
from gnomon.runtime.enrolment.hub_channel import DeadlineExceeded, Patience
from gnomon.runtime.errors import HubError, HubUnavailable


class Link:
    """A hub behind a link of some bytes a second, by a clock of its own."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self.now = 0.0
        self.wasted = 0.0
        self.taken: list[int] = []

    def clock(self) -> float:
        return self.now

    def upload(
        self, request: hub_pb2.UploadRequest, timeout_seconds: float = 15.0
    ) -> hub_pb2.UploadResponse:
        assert request.acknowledged == (self.taken[-1] if self.taken else 0)
        needed = 0.2 + sum(map(len, request.records)) / self.rate
        if needed > timeout_seconds:
            self.now += timeout_seconds
            self.wasted += timeout_seconds
            raise DeadlineExceeded("too slow")
        self.now += needed
        self.taken += [hub_pb2.Record.FromString(data).sequence for data in request.records]
        return hub_pb2.UploadResponse(watermark=self.taken[-1])


class ForgetfulHub:
    """A hub that has lost what it acknowledged, and says so once."""

    def __init__(self) -> None:
        self.calls = 0

    def upload(
        self, request: hub_pb2.UploadRequest, timeout_seconds: float = 15.0
    ) -> hub_pb2.UploadResponse:
        self.calls += 1
        sequences = [hub_pb2.Record.FromString(data).sequence for data in request.records]
        if self.calls == 2:
            return hub_pb2.UploadResponse(watermark=0, send_again=True)
        return hub_pb2.UploadResponse(watermark=sequences[-1])


@pytest.mark.parametrize("waits", [False, True])
def test_what_a_hub_has_lost_waits_until_it_was_shown_what_it_assigned(
    tmp_path: Path, waits: bool
) -> None:
    lost: list[int] = []
    hub: Any = ForgetfulHub()
    spool = Spool(tmp_path, kept_seconds=3_600)
    on_lost = (lambda: lost.append(hub.calls)) if waits else None
    sender = Uploader(spool, on_lost=on_lost)
    for number in range(2):
        spool.put(hub_pb2.Record(window=hub_pb2.Window(rows=number)))
        spool.flush()
        sender.upload_all(hub)
    assert (hub.calls, lost) == ((2, [2]) if waits else (3, []))
    assert (spool.figures().records == 0) == (not waits)
    sender.upload_all(hub)
    assert spool.figures().records == 0


def fill(spool: Spool, total: int, size: int) -> int:
    for _ in range(total // size):
        spool.put(hub_pb2.Record(window=hub_pb2.Window(window=secrets.token_bytes(size), rows=1)))
    return total // size


@pytest.mark.parametrize(
    ("total", "size", "rate"),
    [
        (1_300_000, 1_000, 20_000.0),
        (60_000, 1_000, 1_000.0),
        (60_000, 20_000, 1_000.0),
        (400_000, 200_000, 1_000.0),
        (5_000_000, 1_000, 10_000_000.0),
    ],
)
def test_a_backlog_drains_over_a_link_of_any_speed(
    tmp_path: Path, total: int, size: int, rate: float
) -> None:
    spool, link = Spool(tmp_path), Link(rate)
    records = fill(spool, total, size)
    sender = Uploader(spool, link.clock)
    while spool.figures().records:
        try:
            sender.upload_all(link)
        except HubUnavailable:
            link.now += 1
    assert link.taken == list(range(1, records + 1))
    assert link.now < 3 * total / rate + 30
    assert link.wasted < total / rate + 60


def test_the_time_of_the_caller_says_nothing_about_the_link(tmp_path: Path) -> None:
    spool, link = Spool(tmp_path), Link(1_000.0)
    fill(spool, 40_000, 1_000)
    sender = Uploader(spool, link.clock)
    with pytest.raises(DeadlineExceeded):
        sender.upload_all(link, deadline=2.0)
    link.rate = 1e7
    sender.upload_all(link)
    assert link.now < 2.5  # in two batches: they did not shrink


def test_a_hub_that_acknowledges_nothing_is_named(tmp_path: Path) -> None:
    class Deaf(Link):
        def upload(self, *_: Any, **__: Any) -> hub_pb2.UploadResponse:
            return hub_pb2.UploadResponse()

    spool = Spool(tmp_path)
    fill(spool, 1_000, 1_000)
    with pytest.raises(HubError, match="stays at 0"):
        Uploader(spool).upload_all(Deaf(1.0))
    assert MOST_BATCH_BYTES <= 1 << 20


def test_patience_doubles_and_returns() -> None:
    patience = Patience(0.5, 3.0)

    def late(_: float) -> None:
        raise DeadlineExceeded("late")

    seen = []
    for _ in range(4):
        with pytest.raises(DeadlineExceeded):
            patience.run(late)
        seen.append(patience.seconds)
    assert seen == [1.0, 2.0, 3.0, 3.0]
    assert [patience.run(lambda seconds: seconds) for _ in range(4)] == [3.0, 1.5, 0.75, 0.5]


class Relay:
    """Relays TCP connections to an address at some bytes a second from the caller."""

    def __init__(self, target: str, rate: int) -> None:
        host, _, port = target.rpartition(":")
        self._target, self._rate = (host, int(port)), rate
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
                near.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8_192)
                far = socket.create_connection(self._target)
            except OSError:
                return
            for source, sink, rate in ((near, far, self._rate), (far, near, 10**9)):
                threading.Thread(target=_copy, args=(source, sink, rate), daemon=True).start()


def _copy(source: socket.socket, sink: socket.socket, rate: int) -> None:
    try:
        while data := source.recv(2_048):
            sink.sendall(data)
            time.sleep(len(data) / rate)
    except OSError:
        pass
    for one in (source, sink):
        one.close()


@pytest.fixture
def relay(hub: Any) -> Iterator[Relay]:
    relay = Relay(hub.sync, rate=50_000)
    yield relay
    relay.close()


@pytest.mark.slow
def test_a_backlog_drains_through_a_throttled_connection(
    hub: Any, relay: Relay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploader, "CALL_SECONDS", 0.3)
    monkeypatch.setattr(uploader, "SECONDS_A_BYTE", 1 / 200_000)
    monkeypatch.setattr(uploader, "FIRST_BATCH_BYTES", 256 << 10)
    spool = Spool(tmp_path / "spool")
    for number in range(100):
        detail = secrets.token_hex(500)
        spool.put(hub_pb2.Record(event=hub_pb2.Event(kind=f"k{number}", detail=detail)))
    settings = NodeSettings(
        name="throttled",
        data_folder=tmp_path,
        hub=relay.address,
        enrolment=hub.enrolment,
        authority_fingerprint=hub.fingerprint,
        token=hub.token(),
    )
    enrolment = Enrolment(settings, {})
    channel = enrolment.connect()
    sender, late = Uploader(spool), 0
    deadline = time.monotonic() + 60
    while spool.figures().records and time.monotonic() < deadline:
        try:
            sender.upload_all(channel)
        except DeadlineExceeded:
            late += 1
    enrolment.close()
    assert spool.figures().records == 0
    assert late > 0
    kinds = [one["kind"] for one in hub.get("events?limit=1000") if one["node"] == "throttled"]
    assert sorted(kinds) == sorted(f"k{number}" for number in range(100))
