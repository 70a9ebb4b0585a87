"""A spool that is full, or on a disk that fails: no window is lost, nothing counts twice."""

import errno
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from gnomon.edge.telemetry.spool import Spool
from gnomon.proto import hub_pb2
from gnomon.runtime.errors import StorageError
from gnomon.runtime.files import write_durably
from tests.support.failing_disk import FailingDisk
from tests.support.spool import Receiver, add, rows_in, sample, window

MERGE_OR_KILL = """
import os, sys
from pathlib import Path
from gnomon.edge.telemetry.spool import Spool
from tests.support.spool import add, window
budget, killed_at, puts, day = map(int, sys.argv[2:])
spool = Spool(Path(sys.argv[1]), budget_bytes=budget, segment_bytes=600, merge=add)
if killed_at:
    calls = iter(range(1, 1_000_000))
    def counted(name):
        real = getattr(os, name)
        def call(*arguments, **options):
            if next(calls) == killed_at:
                os._exit(9)
            return real(*arguments, **options)
        setattr(os, name, call)
    for name in ("replace", "rename", "unlink", "fsync"):
        counted(name)
for _ in range(puts):
    spool.put(window(b"1", started_at_unix_ms=day, ended_at_unix_ms=day + 1))
    print("+", end="", flush=True)
os._exit(0)
"""


@pytest.mark.parametrize("ends_by", ["kill", "stop"])
def test_windows_of_all_boots_merge_and_none_is_lost(tmp_path: Path, ends_by: str) -> None:
    receiver = Receiver()
    put = 0
    for boot in range(30):
        spool = Spool(tmp_path, budget_bytes=6_000, segment_bytes=600, merge=add)
        for number in range(20):
            spool.put(window(b"1", started_at_unix_ms=number % 2))
            put += 1
        if boot in (3, 17):
            receiver.upload(*spool.batch(400))  # the acknowledgement is lost with the process
        assert spool.figures().bytes <= 6_000
        if ends_by == "stop":
            spool.close()
    receiver.drain(Spool(tmp_path, merge=add))
    assert rows_in(receiver.taken) == put == 600


@pytest.mark.parametrize("damage", ["removed", "overwritten"])
def test_windows_of_a_boot_whose_mark_is_lost_count_once(tmp_path: Path, damage: str) -> None:
    spool, receiver = Spool(tmp_path, segment_bytes=600), Receiver()
    for _ in range(20):
        spool.put(window(b"1"))
    receiver.upload(*spool.batch(400))  # the acknowledgement is lost with the process
    spool.close()
    if damage == "removed":
        (tmp_path / "sent").unlink()
    else:
        (tmp_path / "sent").write_bytes(b"x")
    spool = Spool(tmp_path, budget_bytes=3_000, segment_bytes=600, merge=add)
    for _ in range(100):
        spool.put(window(b"1"))
    assert spool.figures().merged > 0
    receiver.drain(spool)
    assert rows_in(receiver.taken) == 120
    spool.close()


def test_windows_of_many_intervals_merge_as_a_last_resort(tmp_path: Path) -> None:
    spool = Spool(tmp_path, budget_bytes=6_000, segment_bytes=600, merge=add)
    for number in range(500):
        minute = number * 60_000
        spool.put(window(b"1", started_at_unix_ms=minute, ended_at_unix_ms=minute + 60_000))
    receiver = Receiver()
    receiver.drain(spool)
    assert rows_in(receiver.taken) == 500
    assert max(r.window.ended_at_unix_ms for r in receiver.taken) == 500 * 60_000
    assert len(receiver.taken) > 5


def test_other_records_leave_room_for_windows(tmp_path: Path) -> None:
    spool = Spool(tmp_path, budget_bytes=4_000, segment_bytes=500)
    label = hub_pb2.Label(model="eta", request_id="r" * 20)
    with pytest.raises(StorageError, match="full"):
        for _ in range(1_000):
            spool.put(hub_pb2.Record(label=label))
    for _ in range(10):
        spool.put(sample())
        spool.put(window(b"1" * 20))
    assert spool.figures().dropped == 30


@pytest.mark.slow
@pytest.mark.parametrize("first", [1, 4])
def test_a_kill_at_any_call_while_segments_are_replaced_counts_nothing_twice(
    tmp_path: Path, first: int
) -> None:
    put = 0
    for killed_at in (0, *range(first, 24, 6)):
        arguments = ["2000", str(killed_at), "40", "1"]
        command = [sys.executable, "-c", MERGE_OR_KILL, str(tmp_path), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode in (0, 9), done.stderr
        put += done.stdout.count("+")
    receiver = Receiver()
    receiver.drain(Spool(tmp_path))
    assert rows_in(receiver.taken) in range(put, put + 5)  # killed between write and print


@pytest.mark.parametrize("damage", ["removed", "overwritten", "emptied"])
def test_a_segment_that_cannot_be_read_is_abandoned_and_counted(
    tmp_path: Path, damage: str
) -> None:
    spool = Spool(tmp_path, segment_bytes=200)
    for number in range(20):
        spool.put(window(bytes([number])))
    spool.flush()
    first, second, *_ = sorted(tmp_path.glob("*.segment"))
    for path in (first, second):
        if damage == "removed":
            path.unlink()
        else:
            path.write_bytes(b"" if damage == "emptied" else b"x" * path.stat().st_size)
    receiver = Receiver()
    receiver.drain(spool)
    assert spool.figures().lost == 20 - len(receiver.taken) > 0
    assert spool.put(window()) == 21
    receiver.drain(spool)
    spool.close()


READ_ONLY = """
import os, sys
from pathlib import Path
from gnomon.edge.telemetry.spool import Spool
from gnomon.proto import hub_pb2
os.chdir(sys.argv[1])
if os.getuid() == 0:
    os.setresuid(65534, 65534, 65534)
spool = Spool(Path("spool"))
assert spool.figures().disk_error
for _ in range(3):
    spool.put(hub_pb2.Record(window=hub_pb2.Window(window=b"1", rows=1)))
taken = 0
while (batch := spool.batch(10_000))[1]:
    records = [hub_pb2.Record.FromString(data) for data in batch[1]]
    taken += len(records)
    spool.acknowledge(batch[0], records[-1].sequence)
print(taken, spool.figures().records)
"""


def test_on_a_read_only_disk_records_are_taken_and_sent_from_memory(tmp_path: Path) -> None:
    code = [sys.executable, "-c", READ_ONLY, str(tmp_path)]
    tmp_path.chmod(0o755)
    spool = Spool(tmp_path / "spool")
    spool.put(window())
    spool.close()
    for path in (*(tmp_path / "spool").iterdir(), tmp_path / "spool"):
        path.chmod(path.stat().st_mode & 0o555 | 0o444)
    done = subprocess.run(code, capture_output=True, text=True, timeout=60, check=False)
    # What is on the disk waits there: no mark can tell that it was sent.
    assert done.stdout == "3 1\n", done.stderr
    (tmp_path / "spool").chmod(0o755)


def test_after_a_full_disk_all_records_are_written_and_sent_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path, segment_bytes=300)
    receiver = Receiver()
    real, is_full = os.write, False

    def write(descriptor: int, data: bytes) -> int:
        if is_full:
            raise OSError(errno.ENOSPC, "no space left")
        return real(descriptor, data)

    monkeypatch.setattr("gnomon.edge.telemetry.segment_list.os.write", write)
    monkeypatch.setattr(
        "gnomon.edge.telemetry.boots.write_durably",
        lambda path, data, **_: write(0, b"") if is_full else write_durably(path, data),
    )
    for number in range(30):
        is_full = number % 10 in (4, 5, 6)
        spool.put(window(bytes([number])))
        if number % 7 == 3:
            boot_id, records = spool.batch(10_000)
            receiver.upload(boot_id, records)
            if number % 2:
                spool.acknowledge(boot_id, receiver.watermarks.get(boot_id, 0))
    is_full = False
    spool.flush()
    assert (spool.figures().in_memory, spool.figures().disk_error) == (0, "")
    spool.close()
    receiver.drain(Spool(tmp_path))
    assert Counter(r.window.window[0] for r in receiver.taken) == Counter(range(30))


@pytest.mark.parametrize("error", [errno.EROFS, errno.ENOSPC])
def test_records_in_memory_do_not_wait_for_those_on_a_disk_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    spool = Spool(tmp_path)
    spool.put(window(b"1"))
    spool.flush()
    disk = FailingDisk(tmp_path, error, monkeypatch)
    spool.put(window(b"2"))
    boot_id, records = spool.batch(300)
    assert [hub_pb2.Record.FromString(one).window.window for one in records] == [b"2"]
    spool.acknowledge(boot_id, 1)
    assert spool.batch(300)[1] == []  # no mark could tell after a restart that it was sent
    disk.mend()
    _, records = spool.batch(300)
    assert [hub_pb2.Record.FromString(one).window.window for one in records] == [b"1"]
    spool.close()


def test_a_spool_whose_folder_cannot_be_made_sends_from_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = FailingDisk(tmp_path, errno.EROFS, monkeypatch)
    spool = Spool(tmp_path / "spool")
    spool.put(window(b"1"))
    assert (spool.figures().in_memory, len(spool.batch(300)[1])) == (1, 1)
    disk.mend()
    spool.flush()
    assert (spool.figures().in_memory, spool.figures().disk_error) == (0, "")
    spool.close()
