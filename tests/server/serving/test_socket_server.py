"""An agent's process answers other programs of its user on a Unix socket, and nobody else."""

import asyncio
import os
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest

from gnomon.client.inference.asynchronous import AsyncClient
from gnomon.client.inference.blocking import Client
from gnomon.edge.label_record import label_record
from gnomon.edge.standalone.standalone_node import StandaloneNode
from gnomon.proto import hub_pb2, inference_pb2_grpc
from gnomon.proto import inference_pb2 as oip
from gnomon.runtime.errors import ConfigurationError, InvalidInput, NotServed
from gnomon.runtime.packages.package import Package
from gnomon.server.serving.native.loop import missing_library
from gnomon.server.serving.socket_server import SocketServer
from tests.support.serving import Served, request

FRONTENDS = [
    pytest.param(
        "native",
        marks=pytest.mark.skipif(missing_library() is not None, reason="libnghttp2 is missing"),
    ),
    "grpcio",
]


@pytest.fixture
def node(package: Package) -> Iterator[StandaloneNode]:
    with StandaloneNode("device", [package.path], None) as node:
        yield node


@pytest.fixture
def open_at(node: StandaloneNode) -> Iterator[Callable[..., SocketServer]]:
    opened: list[SocketServer] = []

    def open_at(path: Path, choice: str = "auto") -> SocketServer:
        server = SocketServer(node, path, choice)
        server.open()
        opened.append(server)
        return server

    yield open_at
    for server in opened:
        server.close(1)


@pytest.fixture
def labels(node: StandaloneNode, monkeypatch: pytest.MonkeyPatch) -> list[hub_pb2.Label]:
    """Let the node keep labels as one with a hub does; return them."""
    kept: list[hub_pb2.Label] = []
    monkeypatch.setattr(node, "label", lambda *parts: kept.append(label_record(*parts).label))
    return kept


@pytest.mark.parametrize("choice", FRONTENDS)
def test_a_program_sends_labels_through_the_socket(
    labels: list[hub_pb2.Label],
    open_at: Callable[..., SocketServer],
    choice: str,
    tmp_path: Path,
) -> None:
    server = open_at(tmp_path / "agent.socket", choice)
    with Client(server.address) as client:
        before = time.time()
        client.label("eta", "r1", 31.5)
        client.label("eta", "r2", 7, at=-0.5)
        with pytest.raises(InvalidInput, match="value of a label is inf"):
            client.label("eta", "r3", float("inf"))
        with pytest.raises(InvalidInput, match="r4"):
            client.label("eta", "r4", "7")  # type: ignore[arg-type]
    assert [(one.model, one.request_id, one.value) for one in labels] == [
        ("eta", "r1", 31.5),
        ("eta", "r2", 7.0),
    ]
    assert before * 1000 - 1 <= labels[0].at_unix_ms <= time.time() * 1000 + 1
    assert labels[1].at_unix_ms == -500

    async def send() -> None:
        async with AsyncClient(server.address) as client:
            await client.label("eta", "r5", 1.5)

    asyncio.run(send())
    assert labels[-1].request_id == "r5"


@pytest.mark.parametrize("choice", FRONTENDS)
def test_labels_without_a_hub_are_refused_and_servers_take_none(
    node: StandaloneNode, open_at: Callable[..., SocketServer], choice: str, tmp_path: Path
) -> None:
    with (
        Client(open_at(tmp_path / "agent.socket", choice).address) as client,
        pytest.raises(ConfigurationError, match="labels need a hub"),
    ):
        client.label("eta", "r1", 1.0)
    server = Served(next(iter(node.runtime.models.values())).package)
    try:
        with (
            Client(server.address) as client,
            pytest.raises(NotServed, match="only an agent takes at its socket"),
        ):
            client.label("eta", "r1", 1.0)
    finally:
        server.close()


def infer(address: str) -> oip.ModelInferResponse:
    with grpc.insecure_channel(address) as channel:
        stub = inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        return stub.ModelInfer(request(), timeout=10)


@pytest.mark.parametrize("choice", FRONTENDS)
def test_a_client_of_grpc_predicts_and_the_modes_admit_the_owner_alone(
    open_at: Callable[..., SocketServer], choice: str, tmp_path: Path
) -> None:
    before = os.umask(0)
    try:
        server = open_at(tmp_path / "data" / "agent.socket", choice)
    finally:
        os.umask(before)
    path = tmp_path / "data" / "agent.socket"
    assert server.address == f"unix:{path}"
    assert infer(server.address).model_version == "1"
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    server.close(1)
    assert not path.exists()
    assert infer(open_at(path, choice).address).model_version == "1"


@pytest.mark.parametrize("choice", FRONTENDS)
def test_what_an_ended_agent_left_is_replaced_and_a_running_one_stays(
    open_at: Callable[..., SocketServer], choice: str, tmp_path: Path
) -> None:
    path = tmp_path / "agent.socket"
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    server = open_at(path, choice)
    with pytest.raises(ConfigurationError, match=r"unix:.*another process uses.*agent.socket_path"):
        open_at(path, choice)
    assert infer(server.address).model_version == "1"


def test_of_agents_that_start_together_exactly_one_answers(
    node: StandaloneNode, tmp_path: Path
) -> None:
    servers = [SocketServer(node, tmp_path / "agent.socket") for _ in range(4)]
    barrier, refused = threading.Barrier(len(servers)), []

    def open_together(server: SocketServer) -> None:
        barrier.wait()
        try:
            server.open()
        except ConfigurationError:
            refused.append(server)

    threads = [threading.Thread(target=open_together, args=(one,)) for one in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == len(servers) - 1
    assert infer(servers[0].address).model_version == "1"
    for server in servers:
        server.close(1)


def test_what_is_no_socket_stays_and_the_path_is_free_again(
    open_at: Callable[..., SocketServer], tmp_path: Path
) -> None:
    path = tmp_path / "agent.socket"
    path.write_text("kept")
    with pytest.raises(ConfigurationError, match="something else than a socket"):
        open_at(path)
    assert path.read_text() == "kept"
    path.unlink()
    assert infer(open_at(path).address).model_version == "1"
