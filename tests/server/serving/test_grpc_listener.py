"""A socket in the file system, for either gRPC frontend."""

import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from gnomon.proto import inference_pb2_grpc
from gnomon.runtime.errors import ConfigurationError
from gnomon.runtime.packages.package import Package
from gnomon.server.serving.grpcio.frontend import GrpcFrontend
from gnomon.server.serving.native.frontend import NativeFrontend
from gnomon.server.serving.native.loop import missing_library
from gnomon.server.serving.select_frontend import make_frontend
from gnomon.server.serving.settings import FrontendSettings
from tests.support.serving import Served, request

NATIVE = pytest.param(
    NativeFrontend,
    marks=pytest.mark.skipif(
        missing_library() is not None, reason="libnghttp2 is not installed (package libnghttp2-14)"
    ),
)


@pytest.fixture(params=[NATIVE, GrpcFrontend])
def open_at(package: Package, request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """Open frontends of one kind at a path."""
    made: list[Any] = []

    class Opened(Served):
        async def _make(self, settings: Any) -> Any:
            return request.param(self.handler, settings)

    def open_at(path: Path, **settings: Any) -> Any:
        made.append(Opened(package, socket_path=path, **settings))
        return made[-1]

    yield open_at
    for served in made:
        served.close()


def test_its_owner_is_served_and_no_one_else(open_at: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "frontend"
    served = open_at(path)
    assert served.address == f"unix:{path}"
    assert served.infer(request()).model_version == "1"
    found = path.stat()
    assert stat.S_ISSOCK(found.st_mode)
    assert stat.S_IMODE(found.st_mode) == 0o600
    served.channel.close()
    served.run(served.frontend.close(1))
    assert not path.exists()


def test_what_an_ended_server_left_makes_way_and_no_other(
    open_at: Callable[..., Any], tmp_path: Path
) -> None:
    path = tmp_path / "frontend"
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    served = open_at(path)
    assert served.infer(request()).model_version == "1"
    with pytest.raises(ConfigurationError, match=r"unix:.*another server listens there"):
        open_at(path)
    assert served.infer(request()).model_version == "1"
    (tmp_path / "file").write_text("kept")
    with pytest.raises(ConfigurationError, match="something else than a socket"):
        open_at(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "kept"
    with pytest.raises(ConfigurationError):
        open_at(tmp_path / ("x" * 200))


def test_a_shared_path_passes_to_the_newer_server_of_the_native_frontend(
    open_at: Callable[..., Any], tmp_path: Path
) -> None:
    path = tmp_path / "frontend"
    old = open_at(path, share_port=True)
    assert old.infer(request()).model_version == "1"
    if isinstance(old.frontend, GrpcFrontend):
        with pytest.raises(ConfigurationError, match="another server listens there"):
            open_at(path, share_port=True)
        return
    new = open_at(path, share_port=True)
    old.channel.close()
    old.run(old.frontend.close(1))
    with grpc.insecure_channel(new.address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        stub = inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        assert stub.ModelInfer(request(), timeout=10).model_version == "1"
    assert new.counted() == {"answered": 1}


def test_a_socket_needs_no_names_wherever_rest_opens(served: Any, tmp_path: Path) -> None:
    async def choose(**settings: Any) -> Any:
        return type(make_frontend("auto", served.handler, FrontendSettings(**settings)))

    chosen = served.run(choose(host="0.0.0.0", socket_path=tmp_path / "frontend"))
    assert chosen is (GrpcFrontend if missing_library() else NativeFrontend)
