"""A hub behind nginx and HAProxy, with the settings of docs/hub.md."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from gnomon.runtime.enrolment.identity import key_pem
from gnomon.server.hub.process import Hub
from tests.support.hub import Caller, Party, new_key, settings_in
from tests.support.names import ROOT
from tests.support.proxies import documented, free_port, run_proxy

DOCUMENT = ROOT / "docs" / "hub.md"


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    settings = settings_in(tmp_path_factory.mktemp("proxied") / "hub")
    hub = Hub(replace(settings, behind_tls_proxy=True, names=("localhost",)))
    hub.start()
    caller = Caller(hub.addresses)
    yield caller
    caller.close()
    hub.stop()


@pytest.fixture(scope="module", params=["nginx", "haproxy"])
def proxy(
    caller: Caller, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """Give a client of REST, and the ports for enrolment and sync if the proxy has them."""
    kind, addresses = request.param, caller.addresses
    page, *others = ports = [free_port() for _ in range(3 if kind == "haproxy" else 1)]
    listen = {"nginx": "listen 8443", "haproxy": "bind :8443"}[kind]
    changes = {
        "127.0.0.1:8600": addresses.rest.removeprefix("http://"),
        listen: f"{listen.split()[0]} 127.0.0.1:{page}",
    }
    if others:
        changes |= {
            "bind :8701": f"bind 127.0.0.1:{others[0]}",
            "bind :8702": f"bind 127.0.0.1:{others[1]}",
            "127.0.0.1:8601": addresses.enrolment,
            "127.0.0.1:8602": addresses.sync,
        }
    folder = tmp_path_factory.mktemp(kind)
    with (
        run_proxy(kind, documented(DOCUMENT, kind), changes, ports, folder) as files,
        httpx.Client(
            base_url=f"https://localhost:{page}",
            verify=files.context(),
            trust_env=False,
            timeout=20,
        ) as client,
    ):
        yield client, others


def test_rest_comes_through_and_needs_a_key(proxy: Any, caller: Caller) -> None:
    client, _ = proxy
    key = {"authorization": caller.http.headers["authorization"]}
    assert client.get("/api/v1/models").status_code == 401
    assert client.get("/api/v1/models", headers=key).json() == []
    answer = client.post("/api/v1/tokens", json={"role": "node"}, headers=key)
    assert answer.status_code == 201
    assert client.get("/", follow_redirects=True).headers["content-type"].startswith("text/html")


def test_a_large_body_without_a_key_is_told_what_is_missing(proxy: Any) -> None:
    client, _ = proxy
    assert client.post("/api/v1/labels", content=b" " * (4 << 20)).status_code == 401


def test_nodes_enrol_and_exchange_through_a_proxy_that_passes_tls(
    proxy: Any, caller: Caller, tmp_path: Path
) -> None:
    _, ports = proxy
    if not ports:
        pytest.skip("these settings of nginx are for REST alone")
    token, key = caller.token("node", "device-1"), new_key()
    answer = caller.stranger(token, f"localhost:{ports[0]}").enrol(token["token"], key, "device-1")
    credentials = grpc.ssl_channel_credentials(answer.authority, key_pem(key), answer.certificate)
    with grpc.secure_channel(f"localhost:{ports[1]}", credentials) as channel:
        assert Party(channel).exchange().call_again_ms > 0
