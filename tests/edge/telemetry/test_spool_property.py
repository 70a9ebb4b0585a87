"""Whatever happens to spool, disk, process and hub: each row reaches the hub exactly once."""

import errno
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.edge.telemetry.spool import Spool
from gnomon.proto import hub_pb2
from gnomon.runtime.errors import StorageError
from tests.support.failing_disk import FailingDisk
from tests.support.spool import Receiver, add, rows_in, window

BUDGET_BYTES = 1_000
EVENTS = ("window", "window", "window", "sample", "upload", "lost answer", "flush")
ENDS = ("kill", "stop")
DISK = ("disk fails", "disk works")


class Device:
    """A spool that is opened again after each end of its process, and its hub."""

    def __init__(self, folder: Path, disk: FailingDisk) -> None:
        self.folder, self.disk = folder, disk
        self.receiver = Receiver()
        self.put = self.waiting = 0
        self.open()

    def open(self) -> None:
        self.spool = Spool(self.folder, budget_bytes=BUDGET_BYTES, segment_bytes=300, merge=add)

    def window(self, interval: int) -> None:
        """Put a row; what the spool refuses waits in memory, as in the recorder."""
        self.waiting += 1
        record = window(str(self.waiting).encode(), started_at_unix_ms=interval)
        record.window.rows = self.waiting
        try:
            self.spool.put(record)
        except StorageError:
            return
        self.put += self.waiting
        self.waiting = 0

    def upload(self, *, is_answered: bool) -> None:
        boot_id, records = self.spool.batch(200)
        watermark = self.receiver.upload(boot_id, records)
        if records and is_answered:
            self.spool.acknowledge(boot_id, watermark)

    def end(self, how: str) -> None:
        """End the process while the disk works, so that nothing was in memory only."""
        self.disk.mend()
        self.spool.flush()
        if how == "stop":
            self.spool.close()
        self.waiting = 0
        self.open()

    def happen(self, event: str, interval: int) -> None:
        if event == "window":
            for place in range(5):
                self.window((interval + place) % 4)
        elif event == "sample":
            ids = [str(interval)] * 5
            self.spool.put(hub_pb2.Record(predictions=hub_pb2.Predictions(request_ids=ids)))
        elif event in ("upload", "lost answer"):
            self.upload(is_answered=event == "upload")
        elif event in DISK:
            self.disk.is_failing = event == "disk fails"
        elif event == "flush" and not self.disk.is_failing:
            self.spool.flush()
        elif event in ENDS:
            self.end(event)


@given(
    events=st.lists(
        st.tuples(st.sampled_from((*EVENTS, *ENDS, *DISK)), st.integers(0, 3)), max_size=80
    ),
    error=st.sampled_from((errno.EROFS, errno.ENOSPC)),
)
@settings(max_examples=60, deadline=None)
def test_each_row_reaches_the_hub_exactly_once(events: list[tuple[str, int]], error: int) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as monkeypatch:
        disk = FailingDisk(Path(folder), error, monkeypatch)
        disk.mend()
        device = Device(Path(folder) / "spool", disk)
        for event, interval in events:
            device.happen(event, interval)
            # Files that a read-only disk kept come again when it is opened.
            is_small = device.spool.figures().bytes <= BUDGET_BYTES
            assert is_small or any(one == "disk fails" for one, _ in events)
        device.end("stop")
        device.receiver.drain(device.spool)
        assert rows_in(device.receiver.taken) == device.put
        assert device.spool.figures().lost == 0
        device.spool.close()
