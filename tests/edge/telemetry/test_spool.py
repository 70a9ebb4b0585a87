"""The spool loses nothing that was flushed, hands out nothing twice, and opens on any damage."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.edge.telemetry.frames import OVERHEAD, Frame, scan_frames
from gnomon.edge.telemetry.spool import Spool
from gnomon.proto import hub_pb2
from gnomon.runtime.errors import StorageError
from tests.support.spool import Receiver, sample, window


def test_records_come_in_order_and_go_when_acknowledged(tmp_path: Path) -> None:
    spool = Spool(tmp_path, segment_bytes=200)
    assert [spool.put(window(bytes([n]))) for n in range(20)] == list(range(1, 21))
    boot_id, records = spool.batch(10_000)
    assert boot_id == spool.boot_id
    assert [hub_pb2.Record.FromString(r).sequence for r in records] == list(range(1, 21))
    spool.acknowledge(boot_id, 7)
    assert hub_pb2.Record.FromString(spool.batch(1)[1][0]).sequence == 8
    assert spool.figures().records == 13
    spool.acknowledge(boot_id, 20)
    assert spool.batch(10_000) == (spool.boot_id, [])
    assert spool.figures().bytes == 0
    assert list(tmp_path.glob("*.segment")) == []


def test_older_boots_come_first_and_keep_their_names(tmp_path: Path) -> None:
    boots = []
    for number in range(3):
        spool = Spool(tmp_path)
        boots.append(spool.boot_id)
        spool.put(window(bytes([number])))
        spool.close()
    last = Spool(tmp_path)
    seen = []
    while last.figures().records:
        boot_id, records = last.batch(10_000)
        seen.append(boot_id)
        last.acknowledge(boot_id, hub_pb2.Record.FromString(records[-1]).sequence)
    assert seen == boots == sorted(set(boots))


@given(
    payloads=st.lists(st.binary(max_size=40), min_size=1, max_size=12),
    cut=st.integers(0, 10_000),
)
def test_a_torn_tail_costs_only_the_frames_it_touches(payloads: list[bytes], cut: int) -> None:
    frames = [Frame(n, False, p) for n, p in enumerate(payloads, 1)]
    data = b"".join(frame.encode() for frame in frames)
    cut %= len(data) + 1
    whole, end = [], 0
    for frame in frames:
        end += frame.size
        if end <= cut:
            whole.append(frame)
    found = scan_frames(data[:cut])
    assert found.frames == whole
    assert found.sound_bytes == sum(frame.size for frame in whole)
    assert found.damaged == 0


@given(st.data())
@settings(max_examples=200)
def test_damage_costs_at_most_the_frame_it_hits(data: st.DataObject) -> None:
    frames = [Frame(n, bool(n % 2), os.urandom(n * 3)) for n in range(1, 9)]
    raw = bytearray(b"".join(frame.encode() for frame in frames))
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= data.draw(st.integers(1, 255))
    hit, end = 0, 0
    while end <= place:
        end += frames[hit].size
        hit += 1
    found = scan_frames(bytes(raw))
    assert found.frames == frames[: hit - 1] + frames[hit:]
    assert found.damaged == (hit < len(frames))


def test_a_damaged_segment_never_blocks_the_start_and_is_counted(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    for number in range(10):
        spool.put(window(bytes([number])))
    spool.close()
    (segment,) = tmp_path.glob("*.segment")
    raw = bytearray(segment.read_bytes())
    raw[len(raw) // 2] ^= 0xFF
    segment.write_bytes(bytes(raw) + b"\0" * 100)
    (tmp_path / "00000009-0123456789ab.00000000000000000001.segment").write_bytes(b"\0" * 64)
    (tmp_path / "boots").write_bytes(b"\xff not a number")
    again = Spool(tmp_path)
    assert again.boot_id > spool.boot_id
    assert again.figures().records == 9
    assert again.figures().damaged == 1
    receiver = Receiver()
    receiver.drain(again)
    assert len(receiver.taken) == 9


def test_a_full_spool_drops_samples_first_and_counts_them(tmp_path: Path) -> None:
    spool = Spool(tmp_path, budget_bytes=4_000, segment_bytes=500)
    windows = samples = 0
    for number in range(60):
        spool.put(sample())
        samples += 3
        if number % 2:
            spool.put(window(b"x" * 20))
            windows += 1
    assert 0 < spool.figures().dropped < samples
    assert spool.figures().bytes <= 4_000
    receiver = Receiver()
    receiver.drain(spool)
    kept = sum(len(r.predictions.request_ids) for r in receiver.taken)
    assert kept + spool.figures().dropped == samples
    assert sum(r.HasField("window") for r in receiver.taken) == windows


def test_a_spool_full_of_windows_merges_those_of_one_interval(tmp_path: Path) -> None:
    spool = Spool(
        tmp_path, budget_bytes=3_000, segment_bytes=600, merge=lambda _, a, b: bytes([a[0] + b[0]])
    )
    for number in range(200):
        spool.put(window(b"\1", started_at_unix_ms=number % 2))
    receiver = Receiver()
    receiver.drain(spool)
    assert spool.figures().merged == 200 - len(receiver.taken) > 0
    assert sum(r.window.rows for r in receiver.taken) == 200
    assert sum(r.window.window[0] for r in receiver.taken) == 200


def test_a_crash_between_joining_and_removing_delivers_nothing_twice(tmp_path: Path) -> None:
    spool = Spool(tmp_path, segment_bytes=120)
    for number in range(10):
        spool.put(window(bytes([number])))
    spool.close()
    first, *others = sorted(tmp_path.glob("*.segment"))
    assert len(others) > 1
    first.write_bytes(b"".join(path.read_bytes() for path in (first, *others)))
    receiver = Receiver()
    receiver.drain(Spool(tmp_path))
    assert [record.window.window[0] for record in receiver.taken] == list(range(10))
    assert list(tmp_path.glob("*.segment")) == []


def test_what_was_handed_out_is_never_merged(tmp_path: Path) -> None:
    spool = Spool(tmp_path, budget_bytes=1_000, merge=lambda _, a, b: bytes([a[0] + b[0]]))
    receiver = Receiver()
    for _ in range(5):
        spool.put(window(b"\1"))
    receiver.upload(*spool.batch(10_000))  # the acknowledgement is lost
    for _ in range(40):
        spool.put(window(b"\1"))
    receiver.drain(spool)
    assert sum(r.window.window[0] for r in receiver.taken) == 45


def test_windows_that_cannot_be_kept_are_refused_not_dropped(tmp_path: Path) -> None:
    spool = Spool(tmp_path, budget_bytes=300)
    kept = 0
    with pytest.raises(StorageError, match="full"):
        for _ in range(10):
            spool.put(window(b"x" * 20))
            kept += 1
    receiver = Receiver()
    receiver.drain(spool)
    assert len(receiver.taken) == kept > 0
    spool.put(window())
    assert spool.figures().records == 1


def test_a_write_that_fails_leaves_no_part_behind(tmp_path: Path) -> None:
    code = """
import resource, signal, sys
from pathlib import Path
from gnomon.edge.telemetry.spool import Spool
from gnomon.proto import hub_pb2
from gnomon.runtime.errors import StorageError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
spool = Spool(Path(sys.argv[1]))
record = lambda: hub_pb2.Record(window=hub_pb2.Window(window=b"x" * 100))
for _ in range(5):
    spool.put(record())
resource.setrlimit(resource.RLIMIT_FSIZE, (700, resource.RLIM_INFINITY))
spool.put(record())
assert (spool.figures().records, spool.figures().in_memory) == (6, 1), spool.figures()
resource.setrlimit(resource.RLIMIT_FSIZE, (10, resource.RLIM_INFINITY))
try:
    spool.flush()
except StorageError:
    pass
else:
    sys.exit("wrote it")
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
spool.put(record())
spool.close()
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, timeout=60)
    spool = Spool(tmp_path)
    assert (spool.figures().records, spool.figures().damaged) == (7, 0)


WRITER = """
import sys
from pathlib import Path
from gnomon.edge.telemetry.spool import Spool
from gnomon.proto import hub_pb2
spool = Spool(Path(sys.argv[1]), segment_bytes=4096)
number = int(sys.argv[2])
for line in sys.stdin:
    for _ in range(7):
        spool.put(hub_pb2.Record(event=hub_pb2.Event(kind="made", detail=str(number))))
        number += 1
    spool.flush()
    print(number, flush=True)
"""


def kill_while_writing(folder: Path, first: int, pause: float) -> int:
    """Return the number below which all was flushed when the writer was killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), str(first)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin
    assert process.stdout
    process.stdin.write("\n" * 20_000)
    process.stdin.flush()
    lines = [process.stdout.readline()]
    time.sleep(pause)
    process.send_signal(signal.SIGKILL)
    lines += process.stdout.read().splitlines()
    process.wait(timeout=30)
    process.stdin.close()
    return int([line for line in lines if line][-1])


@pytest.mark.slow
def test_twenty_kills_lose_nothing_flushed_and_deliver_nothing_twice(tmp_path: Path) -> None:
    dice = random.Random(2013)
    receiver = Receiver()
    promised: set[int] = set()
    first = 0
    for kill in range(20):
        flushed = kill_while_writing(tmp_path, first, dice.uniform(0, 0.05))
        promised |= set(range(first, flushed))
        first += 1_000_000
        if kill % 3 == 2:
            uploader = Spool(tmp_path, segment_bytes=4096)
            boot_id, records = uploader.batch(20_000)
            receiver.upload(boot_id, records)  # the acknowledgement is lost with the process
    receiver.drain(Spool(tmp_path, segment_bytes=4096), limit_bytes=64_000)
    got = Counter(int(record.event.detail) for record in receiver.taken)
    assert promised <= set(got)
    assert max(got.values()) == 1


def test_an_empty_record_takes_the_overhead_only() -> None:
    assert len(Frame(1, False, b"").encode()) == OVERHEAD
