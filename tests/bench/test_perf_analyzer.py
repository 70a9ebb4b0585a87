"""Triton's own load generator runs against every door; it aborts on a server that is none."""

from pathlib import Path

import pytest

from gnomon.bench.servers.perf_analyzer import FOLDER, WAYS, find_program, run

PROGRAM = find_program(Path(__file__).parents[2] / FOLDER)


@pytest.mark.skipif(
    PROGRAM is None,
    reason="perf_analyzer is not installed: `gnomon bench perf-analyzer` fetches it",
)
def test_it_runs_against_every_frontend() -> None:
    assert PROGRAM is not None
    figures = run(PROGRAM, concurrency=(2,), window_seconds=0.5)
    assert [one.way for one in figures] == [*WAYS]
    assert all(one.per_second > 0 and one.p50_us > 0 for one in figures)
    # What it reads from our statistics.
    assert all(one.server_us > 0 for one in figures)
