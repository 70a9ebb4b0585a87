"""The native frontend behind nginx, which opens a connection for each call."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from gnomon.runtime.packages.package import Package
from gnomon.server.serving.native.frontend import NativeFrontend
from gnomon.server.serving.native.loop import missing_library
from tests.support.nginx import needs_nginx, run_nginx
from tests.support.serving import Served, request

pytestmark = [
    needs_nginx,
    pytest.mark.skipif(missing_library() is not None, reason="libnghttp2 is not installed"),
]

SETTINGS = """
    keepalive_requests 1000000;
    location / {{ grpc_pass grpc://{upstream}; grpc_read_timeout 5s; }}
"""


class ManyLoops(Served):
    """A handler behind a native frontend of three loops."""

    async def _make(self, settings: Any) -> Any:
        return NativeFrontend(self.handler, settings)


@pytest.fixture
def served(package: Package) -> Iterator[ManyLoops]:
    served = ManyLoops(package, loops=3)
    yield served
    served.close()


@pytest.fixture
def proxy(served: ManyLoops, tmp_path: Path) -> Iterator[str]:
    """Start nginx in front of the frontend; gives its address."""
    with run_nginx(tmp_path, SETTINGS.format(upstream=served.address), "http2") as address:
        yield address


def test_every_call_through_nginx_is_answered(served: ManyLoops, proxy: str) -> None:
    message = request().SerializeToString()
    with grpc.insecure_channel(proxy) as channel, ThreadPoolExecutor(8) as threads:
        infer = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        answers = list(threads.map(lambda _: infer(message, timeout=20), range(2_000)))
    assert all(answers)
    # One connection for each call: that is what nginx does unless it is told otherwise.
    assert served.frontend.counts["connections"] >= 2_000
    assert all(one["answered"] for one in served.frontend.counts_by_loop)
