"""A client or a command that is given another port than it needs: what it found, what to use."""

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gnomon import Client
from gnomon.client.hub import HubClient
from gnomon.runtime.errors import (
    ConfigurationError,
    GnomonError,
    HubError,
    HubUnavailable,
    NotReady,
    NotServed,
)
from gnomon.runtime.packages.package import Package
from tests.support.serving import Served
from tests.support.tls_files import TlsFiles

ROW = {"distance": 800.0, "wind": 10.0, "carrier": "UA"}
REST_OF_HUB = "use the URL of the hub's REST interface (rest_port, 8600 by default)"


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    return TlsFiles(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def mutual(package: Package, tls: TlsFiles) -> Iterator[Served]:
    """A gRPC port that wants TLS and a client's certificate, as a hub's port for nodes does."""
    served = Served(package, **tls.settings(asks_clients=True))
    yield served
    served.close()


class _Page(http.server.BaseHTTPRequestHandler):
    """A web page at every path, as of another program."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"<p>Hello")

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def page() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Page)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def refusal(address: str, **files: Path) -> GnomonError:
    """Return the error of a prediction by a client with this address."""
    with (
        pytest.raises(GnomonError) as caught,
        Client(address, timeout_seconds=0.3, **files) as client,
    ):
        client.predict("eta", ROW)
    return caught.value


def hub_refusal(url: str, **files: Path) -> GnomonError:
    """Return the error of a command that takes this for the URL of a hub."""
    with pytest.raises(GnomonError) as caught, HubClient(url, **files) as client:
        client.get("nodes")
    return caught.value


@pytest.mark.parametrize("scheme", ["http://", "https://", "grpc://"])
def test_a_url_is_no_address_of_grpc(scheme: str) -> None:
    error = refusal(f"{scheme}127.0.0.1:8500")
    assert isinstance(error, ConfigurationError)
    assert "should be host:port, such as 127.0.0.1:8500" in str(error)
    assert str(error).endswith("without http://")


@pytest.mark.parametrize(("address", "part"), [("", "host:port"), ("127.0.0.1:99999", "65535")])
def test_an_address_that_none_can_have_is_refused(address: str, part: str) -> None:
    error = refusal(address)
    assert isinstance(error, ConfigurationError)
    assert part in str(error)


@pytest.mark.parametrize(
    "target", ["127.0.0.1:1", "dns:///localhost:1", "unix:/nowhere", "[::1]:1"]
)
def test_the_names_of_grpc_are_addresses(target: str) -> None:
    assert isinstance(refusal(target), NotReady)


def test_a_rest_port_is_named_by_the_client(rest: httpx.Client) -> None:
    error = refusal(f"127.0.0.1:{rest.base_url.port}")
    assert isinstance(error, NotReady)
    assert "HTTP/1 is spoken there, as by REST and by hubs" in str(error)
    assert "use the server's gRPC port (port, 8500 by default)" in str(error)


def test_tls_that_is_lacking_or_too_much_is_named_by_the_client(
    served: Served, mutual: Served, tls: TlsFiles
) -> None:
    assert "or it speaks TLS (give authority_file)" in str(refusal(mutual.address))
    authority = tls.folder / "authority.pem"
    error = refusal(served.address, authority_file=authority)
    assert "no TLS is spoken there; leave out authority_file" in str(error)
    assert "a client's certificate" in str(refusal(mutual.address, authority_file=authority))


def test_grpc_of_another_service_is_named_by_the_client() -> None:
    from concurrent.futures import ThreadPoolExecutor

    import grpc

    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        error = refusal(f"127.0.0.1:{port}")
    finally:
        server.stop(0).wait()
    assert isinstance(error, NotServed)
    assert "gRPC is spoken there, but not for inference, as by the ports of a hub" in str(error)


def test_ports_of_grpc_are_no_hub(served: Served, mutual: Served) -> None:
    for address in (served.address, mutual.address):
        error = hub_refusal(f"http://{address}")
        assert isinstance(error, HubUnavailable)
        assert "the port is one for gRPC" in str(error)
        assert REST_OF_HUB in str(error)


def test_an_inference_server_is_no_hub(rest: httpx.Client) -> None:
    url = str(rest.base_url).rstrip("/")
    error = hub_refusal(url)
    assert isinstance(error, HubError)
    assert str(error) == (
        f"{url} has no /api/v1/nodes: it is no hub but an inference server (gnomon); {REST_OF_HUB}"
    )


def test_a_page_is_no_hub(page: str) -> None:
    error = hub_refusal(page)
    assert isinstance(error, HubError)
    assert "is no hub: it answered /api/v1/nodes with text/html, not JSON" in str(error)


def test_tls_that_is_lacking_or_unknown_is_named(
    rest: httpx.Client, mutual: Served, page: str
) -> None:
    error = hub_refusal(page.replace("http:", "https:"))
    assert isinstance(error, HubUnavailable)
    assert "use http:// instead of https://" in str(error)
    assert "give --authority-file" in str(hub_refusal(f"https://{mutual.address}"))


@pytest.mark.parametrize("url", ["", "localhost", "127.0.0.1:8600", "ftp://a", "http://[::1", "/a"])
def test_what_is_no_url_is_refused_before_a_call(url: str) -> None:
    with pytest.raises(ConfigurationError, match="is no URL of a hub"):
        HubClient(url)
