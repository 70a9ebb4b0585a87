"""What every kind of stream must bear, told once: consumers that are killed whenever it suits."""

import json
import random
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import Any

from tests.support.records import BAD, GOOD

Start = Callable[..., "subprocess.Popen[bytes]"]
Read = Callable[[], Sequence[bytes]]
SECONDS = 60


def rows(count: int) -> list[Any]:
    """Return rows, each with an identity; every 50th breaks the contract, every 99th is no JSON."""
    return [
        b"{no json"
        if place % 99 == 98
        else (BAD if place % 50 == 49 else GOOD) | {"id": f"r{place}", "distance": 100.0 + place}
        if place % 50 != 49
        else BAD | {"id": f"r{place}"}
        for place in range(count)
    ]


def wait_for(condition: Callable[[], bool], process: "subprocess.Popen[bytes]") -> None:
    """Wait until a condition holds; a process that has ended by itself is told."""
    until = time.monotonic() + SECONDS
    while not condition():
        if process.poll() not in (None, 0, -signal.SIGKILL):
            raise AssertionError(process.communicate()[1].decode()[-2_000:])
        assert time.monotonic() < until, "nothing came in time"
        time.sleep(0.02)


def check(answers: Sequence[bytes], count: int) -> int:
    """Hold the answers against the rows, each of which must be there; return the duplicates."""
    found = [json.loads(answer) for answer in answers]
    by_position = {one["position"]: one for one in found}
    good = {one["id"]: one for one in found if "outputs" in one}
    refused = [one for one in by_position.values() if "error" in one]
    wanted = rows(count)
    for place, row in enumerate(wanted):
        if isinstance(row, dict) and row["distance"] >= 0:
            expected = 0.125 * row["distance"] + 1.0 + 10.0
            assert abs(good[f"r{place}"]["outputs"]["air_time"] - expected) < 1e-3
    bad = [row for row in wanted if not isinstance(row, dict) or row["distance"] < 0]
    assert len(refused) == len(bad)
    assert len(by_position) == count
    return len(found) - count


def kill_again_and_again(start: Start, read: Read, count: int, times: int, **settings: Any) -> int:
    """Kill consumers in the middle of their work, then let one end it; return the duplicates."""
    chance = random.Random(7)
    for turn in range(times):
        process = start(id_field="id", max_rows=3, **settings)
        # A quick consumer may have answered more than was waited for before it was killed.
        least = min(len(read()) + chance.randint(1, max(count // (times + 1), 2)), count)
        wait_for(lambda least=least: len(read()) >= least, process)  # type: ignore[misc]
        process.kill()
        process.wait(20)
        assert turn or len(read()) < count, "the first one was to be killed in the middle"
    process = start(id_field="id", max_rows=3, **settings)
    wait_for(lambda: positions(read()) == count, process)
    process.send_signal(signal.SIGTERM)
    # Where nothing was left to do, the end may come before it has begun.
    assert process.wait(SECONDS) in (0, -signal.SIGTERM)
    return check(read(), count)


def positions(answers: Sequence[bytes]) -> int:
    """Return how many records have an answer."""
    return len({json.loads(answer)["position"] for answer in answers})
