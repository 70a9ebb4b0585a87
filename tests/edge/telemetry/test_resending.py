"""A hub that was restored from a backup gets again what it has lost, and nothing counts twice."""

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.edge.telemetry.spool import Spool
from gnomon.edge.telemetry.uploader import Uploader
from gnomon.proto import hub_pb2
from tests.support.spool import window

HOURS = 3_600.0


class Hub:
    """Takes each record once, by the rules of the hub; can be saved and restored."""

    def __init__(self) -> None:
        self.watermarks: dict[str, int] = {}
        self.rows = 0
        self.events: list[str] = []
        self.lost: list[tuple[str, int, int]] = []

    def upload(self, request: hub_pb2.UploadRequest, _: float) -> hub_pb2.UploadResponse:
        known = self.watermarks.get(request.boot, 0)
        if known < request.acknowledged:
            if 0 < request.kept_from <= request.acknowledged:
                return hub_pb2.UploadResponse(watermark=known, send_again=True)
            self.lost.append((request.boot, known, request.acknowledged))
        for data in request.records:
            record = hub_pb2.Record.FromString(data)
            if record.sequence > known:
                self.events += [record.event.kind] if record.HasField("event") else []
                self.rows += record.window.rows
                known = record.sequence
        self.watermarks[request.boot] = known
        return hub_pb2.UploadResponse(watermark=known)

    def save(self) -> tuple[dict[str, int], int]:
        return dict(self.watermarks), self.rows

    def restore(self, saved: tuple[dict[str, int], int]) -> None:
        self.watermarks, self.rows = dict(saved[0]), saved[1]

    def find_lost(self, acknowledged: dict[str, int]) -> dict[str, int]:
        here = {boot: self.watermarks.get(boot, 0) for boot in acknowledged}
        return {boot: mark for boot, mark in here.items() if mark < acknowledged[boot]}


class Device:
    """A spool and its hub, by a clock of the test's own."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.folder, self.now, self.put = folder, 1_700_000_000.0, 0
        self.options = {"segment_bytes": 300, "kept_seconds": 6 * HOURS, **options}
        self.hub = Hub()
        self.saved = self.hub.save()
        self.open()

    def open(self) -> None:
        self.spool = Spool(self.folder, clock=lambda: self.now, **self.options)

    def work(self, count: int = 1) -> None:
        for _ in range(count):
            self.spool.put(window(b"w" * 50))
            self.put += 1

    def upload(self) -> None:
        link: Any = self.hub
        Uploader(self.spool).upload_all(link)

    def ask(self) -> None:
        """What the node does in an exchange."""
        for boot, watermark in self.hub.find_lost(self.spool.watermarks()).items():
            self.spool.rewind(boot, watermark)

    def happen(self, event: str) -> None:
        if event == "work":
            self.work(3)
        elif event == "upload":
            self.upload()
        elif event == "ask":
            self.ask()
        elif event == "backup":
            self.saved = self.hub.save()
        elif event == "restore":
            self.hub.restore(self.saved)
        elif event == "stop":
            self.spool.close()
            self.open()
        else:
            self.spool.flush()
            self.open()


EVENTS = ("work", "work", "upload", "ask", "backup", "restore", "stop", "kill")


@given(st.lists(st.sampled_from(EVENTS), max_size=30))
@settings(max_examples=60, deadline=None)
def test_totals_are_exact_after_any_restore(events: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        device = Device(Path(folder))
        for event in events:
            device.happen(event)
        device.upload()
        device.ask()
        device.upload()
        assert device.hub.rows == device.put
        assert not device.hub.lost
        assert device.spool.figures().records == 0


def test_what_is_kept_leaves_room_for_what_waits(tmp_path: Path) -> None:
    device = Device(tmp_path, budget_bytes=2_000)
    device.work(15)
    device.upload()
    device.work(15)  # the budget is for these
    files = [*tmp_path.glob("*.segment"), *tmp_path.glob("acknowledged/*")]
    assert sum(one.stat().st_size for one in files) <= 2_000
    device.hub.restore(device.saved)
    device.upload()
    ((_, known, acknowledged),) = device.hub.lost
    assert known == 0
    assert device.hub.rows == device.put - acknowledged  # what is lost is said, and nothing else


@pytest.mark.parametrize("passed", [5.9, 6.1])
def test_records_are_kept_for_their_time(tmp_path: Path, passed: float) -> None:
    device = Device(tmp_path)
    device.work(10)
    device.upload()
    device.now += passed * HOURS
    device.spool.acknowledge(device.spool.boot_id, 0)
    assert bool(list(tmp_path.glob("acknowledged/*"))) == (passed < 6)
    device.hub.restore(device.saved)
    device.ask()
    device.work()
    device.upload()
    assert device.hub.rows == (11 if passed < 6 else 1)
    assert device.hub.events == (["sent_again"] if passed < 6 else [])
    assert bool(device.hub.lost) == (passed > 6)


@pytest.mark.parametrize("damage", ["removed", "emptied", "flipped"])
def test_a_kept_segment_that_is_damaged_costs_its_records_alone(
    tmp_path: Path, damage: str
) -> None:
    device = Device(tmp_path)
    device.work(30)
    device.upload()
    kept = sorted(tmp_path.glob("acknowledged/*"))
    victim = kept[len(kept) // 2]
    if damage == "removed":
        victim.unlink()
    else:
        data = victim.read_bytes()
        victim.write_bytes(b"" if damage == "emptied" else b"?" * 20 + data[20:])
    device.hub.restore(device.saved)
    device.ask()
    device.work()
    for _ in range(3):
        device.upload()
    assert device.put // 3 <= device.hub.rows < device.put
    assert device.spool.figures().records == 0


def test_without_a_time_nothing_is_kept(tmp_path: Path) -> None:
    device = Device(tmp_path, kept_seconds=0.0)
    device.work(30)
    device.upload()
    assert not list(tmp_path.glob("*.segment")) + list(tmp_path.glob("acknowledged/*"))
    assert device.spool.watermarks() == {}
