"""The hub behind nginx with its shortest configuration: nobody becomes an administrator by that."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.server.hub.conftest import shared_caller
from tests.support.nginx import needs_nginx, run_nginx

__all__ = ["shared_caller"]

pytestmark = needs_nginx

SETTINGS = "client_max_body_size 20m; location / {{ proxy_pass {upstream}; }}"


@pytest.fixture
def proxy(shared_caller: Any, tmp_path: Path) -> Iterator[httpx.Client]:
    """A client of a proxy that says nothing of who calls."""
    settings = SETTINGS.format(upstream=shared_caller.addresses.rest)
    with (
        run_nginx(tmp_path, settings) as address,
        httpx.Client(base_url=f"http://{address}", timeout=20, trust_env=False) as client,
    ):
        yield client


def test_a_caller_through_a_proxy_needs_a_key(proxy: httpx.Client, shared_caller: Any) -> None:
    eve = {"name": "eve", "role": "admin"}
    for headers in ({}, {"host": "localhost"}, {"x-forwarded-for": "127.0.0.1"}):
        answer = proxy.post("/api/v1/principals", json=eve, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    key = {"authorization": shared_caller.http.headers["authorization"]}
    assert proxy.get("/api/v1/principals", headers=key).json() == []


def test_a_large_body_without_a_key_is_told_what_is_missing(proxy: httpx.Client) -> None:
    """nginx asks by HTTP/1.0 and needs the whole body to be read before the answer."""
    for _ in range(8):
        answer = proxy.post("/api/v1/labels", content=b" " * (4 << 20))
        assert answer.status_code == 401
