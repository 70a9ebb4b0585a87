"""Certificates that are renewed while a frontend is open, at the grpcio and the REST frontend."""

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from gnomon.runtime.errors import ConfigurationError
from gnomon.server.rest import certificates
from gnomon.server.serving.admission.admission import make_admission
from gnomon.server.serving.grpcio.frontend import GrpcFrontend
from gnomon.server.serving.rest.frontend import RestFrontend
from gnomon.server.serving.settings import FrontendSettings
from tests.support.tls_files import TlsFiles
from tests.support.waiting import wait_for


@pytest.fixture
def files(tmp_path: Path) -> TlsFiles:
    return TlsFiles(tmp_path)


@pytest.fixture(autouse=True)
def _looking_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificates, "CHECK_SECONDS", 0.05)


@pytest.fixture(params=["grpcio", "rest"])
def open_frontend(served: Any, request: pytest.FixtureRequest) -> Iterator[Callable[..., str]]:
    """Open a frontend with TLS; gives its address."""
    closers: list[Callable[[], object]] = []

    def open_frontend(**settings: Any) -> str:
        given = FrontendSettings(port=0, **settings)
        if request.param == "grpcio":

            async def opened() -> tuple[GrpcFrontend, str]:
                frontend = GrpcFrontend(served.handler, given)
                return frontend, await frontend.open()

            grpc_frontend, address = served.run(opened())
            closers.append(lambda: served.run(grpc_frontend.close(0)))
            return str(address)
        admission = make_admission(given, served.handler)
        rest_door = RestFrontend(served.handler, served.runtime, given, 0, admission)
        closers.append(lambda: rest_door.close(0))
        rest_door.open()
        return rest_door.url.removeprefix("https://")

    yield open_frontend
    for close in closers:
        close()


def shown(address: str, context: ssl.SSLContext) -> str:
    """Return the certificate that a frontend shows."""
    host, _, port = address.rpartition(":")
    with (
        socket.create_connection((host, int(port)), timeout=10) as raw,
        context.wrap_socket(raw, server_hostname="localhost") as channel,
    ):
        return ssl.DER_cert_to_PEM_cert(channel.getpeercert(binary_form=True) or b"")


def test_a_renewed_certificate_is_shown_without_a_restart(
    open_frontend: Callable[..., str], files: TlsFiles
) -> None:
    first = files.certificate.read_text()
    address = open_frontend(**files.settings())
    context = files.context("h2")
    assert shown(address, context) in first
    second = files.renew().decode()
    wait_for(lambda: shown(address, context) in second)


def test_files_that_do_not_fit_are_not_used(
    open_frontend: Callable[..., str], files: TlsFiles
) -> None:
    first = files.certificate.read_text()
    address = open_frontend(**files.settings())
    key = files.key.read_bytes()
    files.key.write_bytes(b"")
    time.sleep(0.3)
    assert shown(address, files.context("h2")) in first
    files.key.write_bytes(key)
    second = files.renew().decode()
    wait_for(lambda: shown(address, files.context("h2")) in second)


def test_another_authority_of_clients_holds_for_new_connections(
    served: Any, files: TlsFiles
) -> None:
    settings = FrontendSettings(port=0, **files.settings(asks_clients=True))
    admission = make_admission(settings, served.handler)
    frontend = RestFrontend(served.handler, served.runtime, settings, 0, admission)
    frontend.open()
    try:
        root = files.context(name="pilot")
        other = files.context()
        other.load_cert_chain(*files.client("pilot", elsewhere=True))

        def is_let_in(context: ssl.SSLContext) -> bool:
            try:
                url = f"{frontend.url}/v2/health/live"
                return httpx.get(url, verify=context, trust_env=False).status_code == 200
            except httpx.TransportError:
                return False

        assert (is_let_in(root), is_let_in(other)) == (True, False)
        elsewhere = files.folder / "elsewhere" / "authority.pem"
        (files.folder / "authority.pem").write_bytes(elsewhere.read_bytes())
        wait_for(lambda: is_let_in(other))
        assert not is_let_in(root)
    finally:
        frontend.close(0)


def test_the_rest_frontend_tells_which_files_are_not_to_be_used(
    served: Any, files: TlsFiles
) -> None:
    files.key.write_text("nonsense")
    settings = FrontendSettings(port=0, **files.settings())
    frontend = RestFrontend(
        served.handler, served.runtime, settings, 0, make_admission(settings, served.handler)
    )
    with pytest.raises(ConfigurationError, match="TLS cannot begin"):
        frontend.open()
    frontend.close(0)


def test_calls_go_on_while_a_certificate_is_renewed(served: Any, files: TlsFiles) -> None:
    async def opened() -> tuple[GrpcFrontend, str]:
        frontend = GrpcFrontend(served.handler, FrontendSettings(port=0, **files.settings()))
        return frontend, await frontend.open()

    frontend, address = served.run(opened())
    with grpc.secure_channel(address, files.credentials()) as channel:
        live = channel.unary_unary("/inference.GRPCInferenceService/ServerLive")
        assert live(b"", timeout=10) == b"\x08\x01"
        files.renew()
        time.sleep(0.2)
        assert live(b"", timeout=10) == b"\x08\x01"
    served.run(frontend.close(0))
