import asyncio
from pathlib import Path

import pytest

from gnomon.bench.servers.drains import drain_often
from gnomon.bench.servers.serving_package import make_package


@pytest.mark.parametrize("door", ["native", "grpcio"])
def test_servers_that_leave_lose_no_question(tmp_path: Path, door: str) -> None:
    package = make_package(tmp_path / "bench-1").path
    found = asyncio.run(drain_often(package, door, drains=2, per_second=50))
    assert found["answered"] > 50
    assert found["failed"] == 0, found["failures"]
