"""Nobody is an administrator of the hub by address: programs show a key, browsers a session."""

import os
import re
import socket
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gnomon.client.hub import HubClient
from gnomon.runtime.errors import ConfigurationError, NotAllowed, Unauthenticated
from gnomon.runtime.local_hub import HubRecord, LocalHub, find_local_hub
from gnomon.server.hub import process
from gnomon.server.hub.access import sessions
from gnomon.server.hub.access.guesses import GUESSES
from gnomon.server.hub.access.local_key import FILE_NAME, LocalKey
from gnomon.server.hub.access.principals import LOCAL
from gnomon.server.hub.process import Hub
from gnomon.server.hub.settings import HubAddresses
from gnomon.server.hub.store.database import Database

PRINCIPAL = {"name": "eve", "role": "admin"}


@pytest.fixture
def caller(shared_caller: Any) -> Any:
    """The hub's own user; one hub serves all tests that do not change its state."""
    return shared_caller


@pytest.fixture
def stranger(caller: Any) -> Iterator[httpx.Client]:
    """Whoever reaches the hub's port from its own machine: a proxy, another user, a page."""
    with httpx.Client(base_url=caller.addresses.rest, timeout=20, trust_env=False) as client:
        yield client


@pytest.fixture
def browser(caller: Any, stranger: httpx.Client) -> httpx.Client:
    """A browser that has signed in by a link."""
    path = caller.post("sign-in-links")["path"]
    answer = stranger.post("/sign-in", data={"link": path.partition("=")[2]})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    return stranger


def csrf_of(page: httpx.Response) -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', page.text)
    assert found
    return found[1]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"host": "localhost"},
        {"x-forwarded-for": "127.0.0.1"},
        {"x-real-ip": "127.0.0.1"},
        {"authorization": ""},
        {"authorization": "Bearer"},
        {"authorization": "Basic bG9jYWw6"},
        {"cookie": "gnomon_session=local"},
    ],
)
def test_loopback_is_no_credential(stranger: httpx.Client, headers: dict[str, str]) -> None:
    """As nginx with `proxy_pass` alone, or HAProxy, would pass on a stranger's request."""
    assert stranger.get("/api/v1/models", headers=headers).status_code == 401
    answer = stranger.post("/api/v1/principals", json=PRINCIPAL, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


def test_every_route_needs_a_caller(caller: Any, stranger: httpx.Client) -> None:
    paths = caller.http.get("/openapi.json").json()["paths"]
    for path, operations in paths.items():
        for method in operations:
            concrete = re.sub(r"\{[^}]*\}", "x", path)
            assert stranger.request(method, concrete).status_code == 401, (method, path)
    for path in ("/", "/models/eta", "/docs"):
        answer = stranger.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")


def test_the_key_is_its_owners_alone(caller: Any) -> None:
    found = find_local_hub(caller.addresses.rest)
    assert found and stat.S_IMODE(Path(found.key_file).stat().st_mode) == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_of_the_machine_cannot_read_it(caller: Any) -> None:
    found = find_local_hub(caller.addresses.rest)
    assert found
    command = ["/bin/cat", found.key_file]
    done = subprocess.run(command, user=65534, group=65534, cwd="/", capture_output=True)
    assert done.returncode != 0
    assert b"Permission denied" in done.stderr


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    key = LocalKey(tmp_path)
    assert LocalKey(tmp_path).matches(key.file.read_text().strip())
    key.file.chmod(0o640)
    with pytest.raises(ConfigurationError, match="other users may read"):
        LocalKey(tmp_path)


def test_a_new_key_ends_the_sessions_that_the_old_one_began(
    database: Database, tmp_path: Path
) -> None:
    process._local_key(tmp_path, database)
    session = sessions.begin(database, LOCAL.name)
    process._local_key(tmp_path, database)
    assert sessions.find(database, session) == LOCAL
    (tmp_path / FILE_NAME).unlink()
    process._local_key(tmp_path, database)
    assert sessions.find(database, session) is None


def test_the_hubs_own_user_needs_no_further_step(caller: Any) -> None:
    with HubClient(caller.addresses.rest) as client:
        assert client.get("models") == []
        assert client.post("principals", {"name": "olga", "role": "operator"})["key"]
    with HubClient(caller.addresses.rest.replace("127.0.0.1", "localhost")) as client:
        assert client.get("audit")[0]["actor"] == "local"
    with HubClient(caller.addresses.rest, api_key="none") as client, pytest.raises(NotAllowed):
        client.get("models")


def test_the_key_is_sent_to_no_other_program(tmp_path: Path) -> None:
    """Neither to whoever takes the port of a hub that has ended, nor to another address."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        address = f"http://127.0.0.1:{port}"
        record = HubRecord(LocalHub(address=address, key_file=str(tmp_path / "key")))
        assert find_local_hub(address) is not None
        for other in (
            "http://127.0.0.2",
            "http://[::1]",
            "http://hub.example",
            "https://127.0.0.1",
        ):
            assert find_local_hub(f"{other}:{port}") is None
        # A killed hub removes nothing, and lets go of its lock.
        path = record._path
        data = path.read_bytes()
        record.remove()
        path.write_bytes(data)
        path.chmod(0o600)
        assert find_local_hub(address) is None


def test_a_record_of_another_user_is_not_believed(tmp_path: Path) -> None:
    address = "http://127.0.0.1:1"
    record = HubRecord(LocalHub(address=address, key_file=str(tmp_path / "key")))
    record._path.chmod(0o666)
    assert find_local_hub(address) is None
    record.remove()


@pytest.mark.parametrize("name", ["local", "Local", " local", "", " "])
def test_no_principal_is_called_local(caller: Any, name: str) -> None:
    body = {"name": name, "role": "admin"}
    assert caller.http.post("/api/v1/principals", json=body).status_code == 422


def test_two_authorization_headers_are_refused(caller: Any, stranger: httpx.Client) -> None:
    key = caller.http.headers["authorization"]
    for first, second in ((key, "Bearer x"), ("Bearer x", key), (key, key)):
        answer = stranger.get(
            "/api/v1/models", headers=[("authorization", first), ("authorization", second)]
        )
        assert answer.status_code == 422


def test_guesses_are_limited_but_known_keys_pass(
    hub: Hub, caller_of: Callable[[HubAddresses], Any]
) -> None:
    caller = caller_of(hub.addresses)
    stranger = httpx.Client(base_url=hub.addresses.rest, timeout=20, trust_env=False)
    known = {"authorization": f"Bearer {caller.post('principals', **PRINCIPAL)['key']}"}
    assert stranger.get("/api/v1/models", headers=known).is_success
    answers = [
        stranger.get("/api/v1/models", headers={"authorization": f"Bearer guess-{number}"})
        for number in range(2 * GUESSES)
    ]
    assert [answer.status_code for answer in answers[:GUESSES]] == [403] * GUESSES
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert "too many" in stranger.post("/sign-in", data={"key": "guess"}).text
    assert stranger.get("/api/v1/models", headers=known).is_success
    assert caller.get("models") == []
    stranger.close()


def test_a_session_is_bound_to_the_page(browser: httpx.Client) -> None:
    (cookie,) = [one for one in browser.cookies.jar if one.name.startswith("gnomon_session")]
    assert cookie.has_nonstandard_attr("HttpOnly")
    assert cookie.get_nonstandard_attr("SameSite") == "strict"
    assert "You are <b>local</b>" in browser.get("/").text
    assert browser.get("/api/v1/models").is_success
    # A cookie changes nothing over REST, whatever page sends it.
    assert browser.post("/api/v1/principals", json=PRINCIPAL).status_code == 401


def test_a_form_needs_its_sessions_token(browser: httpx.Client) -> None:
    page = browser.get("/")
    for form in ({}, {"csrf": ""}, {"csrf": "0" * 64}):
        assert browser.post("/sign-out", data=form).status_code == 403
    assert browser.post("/sign-out", data={"csrf": csrf_of(page)}).status_code == 303
    assert browser.get("/").headers["location"] == "/sign-in"


@pytest.mark.parametrize(
    "origin",
    ["http://127.0.0.1:1", "http://localhost", "https://{host}", "null", "http://evil.example"],
)
def test_a_page_of_another_port_changes_nothing(
    browser: httpx.Client, caller: Any, origin: str
) -> None:
    headers = {"origin": origin.format(host=browser.base_url.netloc.decode())}
    form = {"csrf": csrf_of(browser.get("/"))}
    assert browser.post("/sign-out", data=form, headers=headers).status_code == 403
    assert (
        caller.http.post("/api/v1/principals", json=PRINCIPAL, headers=headers).status_code == 403
    )
    sites = {"sec-fetch-site": "same-site"}
    assert browser.post("/sign-out", data=form, headers=sites).status_code == 403
    own = {"origin": str(browser.base_url).rstrip("/"), "sec-fetch-site": "same-origin"}
    assert browser.post("/sign-out", data=form, headers=own).status_code == 303


@pytest.mark.parametrize(
    "headers",
    [
        [("host", "evil.example@127.0.0.1")],
        [("host", "localhost/evil.example")],
        [("origin", "http://127.0.0.1"), ("origin", "http://evil.example")],
        [("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")],
    ],
)
def test_headers_that_readers_understand_differently_are_refused(
    caller: Any, headers: list[tuple[str, str]]
) -> None:
    """A proxy in front may take the one, and the hub the other."""
    answer = caller.http.get("/api/v1/models", headers=headers)
    assert answer.status_code in (400, 403, 422)
    assert caller.get("models") == []


def test_a_link_signs_in_once(caller: Any, stranger: httpx.Client) -> None:
    path = caller.post("sign-in-links")["path"]
    link = path.partition("=")[2]
    assert link in stranger.get(path).text  # reading the page does not use the link up
    assert stranger.post("/sign-in", data={"link": link}).status_code == 303
    again = stranger.post("/sign-in", data={"link": link})
    assert again.status_code == 403 and "used before" in again.text
    for secret in (link, "x"):
        stranger.cookies.clear()
        stranger.cookies.set(f"gnomon_session_{stranger.base_url.port}", secret)
        assert stranger.get("/api/v1/models").status_code == 401


def test_a_revoked_key_ends_its_sessions(caller: Any, stranger: httpx.Client) -> None:
    key = caller.post("principals", name="vera", role="viewer")["key"]
    assert stranger.post("/sign-in", data={"key": key}).status_code == 303
    page = stranger.get("/")
    assert "You are <b>vera</b>" in page.text
    caller.http.delete("/api/v1/principals/vera").raise_for_status()
    assert stranger.get("/").status_code == 303


def test_a_hub_of_another_user_says_what_to_do(
    caller: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/nowhere")
    with HubClient(caller.addresses.rest) as client, pytest.raises(Unauthenticated) as raised:
        client.get("models")
    assert "--api-key-file" in str(raised.value)
