"""A thousand hot swaps fail no call and leak nothing; a leak that is planted is found."""

import json
import subprocess
import sys
from typing import Any


def run(*arguments: str) -> tuple[int, Any]:
    """Swap in a process of its own, so that nobody else's memory is in the figures."""
    done = subprocess.run(
        [sys.executable, "-m", "gnomon.bench.servers.swaps", "--inside", *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_a_thousand_swaps_fail_no_call_and_leak_nothing() -> None:
    code, found = run("--swaps", "1000")
    assert code == 0, found
    assert found["failed"] == found["lost_counts"] == 0
    assert found["answered"] > 0
    assert found["growth"] <= 0.10


def test_a_planted_leak_is_found() -> None:
    code, found = run("--swaps", "250", "--leak")
    assert code == 1
    assert found["failed"] == 0
    assert found["growth"] > 0.10
