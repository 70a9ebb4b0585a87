"""One path that is not UTF-8 ends any server of grpc.aio; the frontend opens again by itself."""

import subprocess
import sys
from pathlib import Path

import pytest

from gnomon.runtime.packages.package import Package
from tests.support import http2_frames as http2
from tests.support.serving import Served

ROOT = Path(__file__).parents[4]
ATTEMPTS = 10


@pytest.mark.slow
def test_the_frontend_opens_again(package: Package) -> None:
    # A process of its own: about one time in six, on a busy machine more, grpc.aio itself ends it
    # by a segmentation fault in its channel. That says nothing of the frontend, and must not end
    # the other tests.
    command = [sys.executable, "-m", "tests.server.serving.grpcio.bad_paths", str(package.path)]
    for _ in range(ATTEMPTS):
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
        )
        if done.returncode >= 0:
            break
    assert done.returncode == 0, done.stderr[-4000:]
    assert "reopening the frontend" in done.stderr


def test_a_frontend_that_was_closed_stays_so(package: Package) -> None:
    served = Served(package)
    address = served.address
    served.close()
    with pytest.raises(OSError):
        http2.Http2Connection(address)
