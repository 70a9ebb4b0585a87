"""Keys and sessions leave the hub's machine by TLS only."""

import dataclasses
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from gnomon.client.hub import HubClient
from gnomon.runtime.errors import ConfigurationError, HubUnavailable
from gnomon.runtime.local_hub import find_local_hub, read_key
from gnomon.server.hub.process import Hub
from gnomon.server.hub.settings import HubSettings
from tests.support.tls_files import TlsFiles


@pytest.fixture
def files(tmp_path: Path) -> TlsFiles:
    return TlsFiles(tmp_path / "tls")


@pytest.fixture
def hub(settings: HubSettings, files: TlsFiles) -> Iterator[Hub]:
    hub = Hub(dataclasses.replace(settings, **files.settings()))
    hub.start()
    yield hub
    hub.stop()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "hub.example"])
def test_beyond_loopback_the_hub_opens_only_with_tls(
    settings: HubSettings, files: TlsFiles, host: str
) -> None:
    wide = dataclasses.replace(settings, host=host)
    with pytest.raises(ConfigurationError, match=r"does not open on .* in clear text"):
        Hub(wide)
    dataclasses.replace(wide, **files.settings()).check_reach()
    dataclasses.replace(wide, behind_tls_proxy=True).check_reach()


@pytest.mark.parametrize(
    "given", [{"certificate_file": "c"}, {"key_file": "k"}, {"client_authority_file": "a"}]
)
def test_files_of_tls_are_given_together(given: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="give both"):
        HubSettings(**given)  # type: ignore[arg-type]


def test_the_hubs_own_user_needs_no_further_step_with_tls(hub: Hub, files: TlsFiles) -> None:
    address = hub.addresses.rest
    assert address.startswith("https://")
    with HubClient(address) as client:
        assert client.get("models") == []
    key = read_key(find_local_hub(address) or pytest.fail("it has no record"))
    authority = files.folder / "authority.pem"
    for url in (address, address.replace("127.0.0.1", "localhost")):
        with HubClient(url, api_key=key, authority_file=authority) as client:
            assert client.get("models") == []


def test_a_man_in_the_middle_is_refused(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = TlsFiles(tmp_path / "other").folder / "authority.pem"
    refused = pytest.raises(HubUnavailable, match="certificate verify failed")
    with HubClient(hub.addresses.rest, authority_file=other) as client, refused:
        client.get("models")
    monkeypatch.setenv("XDG_STATE_HOME", "/nowhere")
    with HubClient(hub.addresses.rest) as client, refused:
        client.get("models")


def test_the_sessions_cookie_never_leaves_tls(hub: Hub, files: TlsFiles) -> None:
    key = read_key(find_local_hub(hub.addresses.rest) or pytest.fail("it has no record"))
    trust = ssl.create_default_context(cafile=str(files.folder / "authority.pem"))
    with httpx.Client(base_url=hub.addresses.rest, verify=trust, trust_env=False) as client:
        own = {"origin": hub.addresses.rest}
        answer = client.post("/sign-in", data={"key": key or ""}, headers=own)
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("__Host-gnomon_session")
        for mark in ("Secure", "HttpOnly", "SameSite=strict", "Path=/"):
            assert mark in cookie
        assert client.get("/").is_success
        clear = {"origin": hub.addresses.rest.replace("https", "http")}
        assert client.post("/sign-out", headers=clear).status_code == 403
