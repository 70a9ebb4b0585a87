"""Sign-in to the hub's page by an issuer of OpenID Connect, and what cannot be done with it."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import update

from gnomon.server.hub.access.guesses import GUESSES
from gnomon.server.hub.process import Hub
from gnomon.server.hub.settings import HubSettings
from gnomon.server.hub.store import schema
from tests.support.hub import Caller, settings_in
from tests.support.oidc_issuer import CLIENT, SECRET, OidcIssuer

ROLES = ("ops=operator", "models=builder:eta-*:*", "team=admins=admin")


@pytest.fixture(scope="module")
def issuer() -> Iterator[OidcIssuer]:
    issuer = OidcIssuer()
    yield issuer
    issuer.stop()


@pytest.fixture(scope="module")
def oidc_hub(issuer: OidcIssuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    folder = tmp_path_factory.mktemp("oidc")
    (folder / "secret").write_text(f"{SECRET}\n")
    settings = replace(
        settings_in(folder / "hub"),
        oidc_issuer=issuer.url,
        oidc_client_id=CLIENT,
        oidc_client_secret_file=folder / "secret",
        oidc_roles=ROLES,
    )
    hub = Hub(settings)
    hub.start()
    yield hub
    hub.stop()


@pytest.fixture
def rest(oidc_hub: Hub) -> str:
    oidc_hub.services.callers._guesses._failures.clear()
    return oidc_hub.addresses.rest


@pytest.fixture
def browser(rest: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=rest, timeout=20, trust_env=False) as client:
        yield client


@pytest.fixture
def user(issuer: OidcIssuer) -> Iterator[Callable[..., None]]:
    """Say who signs in next."""

    def user(**claims: Any) -> None:
        issuer.user = {"sub": "alice", "groups": ["ops"], **claims}

    user()
    yield user
    issuer.forge = issuer.sign


def answer_of(browser: httpx.Client) -> str:
    """Go to the issuer, and return where it sends the browser back."""
    begun = browser.get("/sign-in/oidc")
    assert begun.status_code == 303, begun.text
    return str(httpx.get(begun.headers["location"], trust_env=False).headers["location"])


def sign_in(browser: httpx.Client) -> httpx.Response:
    return browser.get(answer_of(browser))


def test_a_user_of_the_issuer_signs_in_with_the_roles_of_the_groups(
    oidc_hub: Hub, browser: httpx.Client, user: Callable[..., None]
) -> None:
    assert 'href="/sign-in/oidc"' in browser.get("/sign-in").text
    page = sign_in(browser)
    assert page.status_code == 200
    assert 'content="0; url=/"' in page.text
    cookies = {one.name: one for one in browser.cookies.jar}
    assert [name.rpartition("_")[0] for name in cookies] == ["gnomon_session"]
    assert "samesite=strict" in page.headers["set-cookie"].lower()
    assert "You are <b>oidc:alice</b>" in browser.get("/").text
    found = oidc_hub.services.callers.by_session(next(iter(cookies.values())).value or "", "")
    assert [(one.role, one.models) for one in found.grants] == [("operator", "*")]


@pytest.mark.parametrize(
    ("groups", "roles"),
    [
        (["ops", "models"], {("operator", "*"), ("builder", "eta-*")}),
        ("team=admins", {("admin", "*")}),
        (["OPS", "op", "", 7, None], None),
        (None, None),
        ({"ops": True}, None),
    ],
)
def test_groups_give_roles_by_their_exact_names(
    oidc_hub: Hub, browser: httpx.Client, user: Callable[..., None], groups: Any, roles: Any
) -> None:
    user(groups=groups)
    page = sign_in(browser)
    if roles is None:
        assert page.status_code == 403
        assert "no group of &#39;alice&#39; has a role here" in page.text
        assert browser.get("/", follow_redirects=False).status_code == 303
        return
    (cookie,) = browser.cookies.jar
    found = oidc_hub.services.callers.by_session(cookie.value or "", "")
    assert {(one.role.value, one.models) for one in found.grants} == roles


def test_a_sign_in_of_another_browser_is_refused(
    rest: str, issuer: OidcIssuer, browser: httpx.Client, user: Callable[..., None]
) -> None:
    """Or a page could sign its visitor in as the attacker; nor is the issuer asked for it."""
    location = answer_of(browser)
    redeemed = len(issuer.redeemed)
    with httpx.Client(base_url=rest, trust_env=False) as other:
        assert "not begun in this browser" in other.get(location).text
        other.get("/sign-in/oidc")
        assert "not begun in this browser" in other.get(location).text
    assert len(issuer.redeemed) == redeemed
    assert browser.get(location).status_code == 200


def test_an_answer_counts_once(browser: httpx.Client, user: Callable[..., None]) -> None:
    location = answer_of(browser)
    kept = dict(browser.cookies)
    assert browser.get(location).status_code == 200
    browser.cookies.update(kept)  # somebody who has copied the cookie, too
    again = browser.get(location)
    assert again.status_code == 403
    assert "the issuer answers with status 400" in again.text


def unsigned(claims: dict[str, Any], issuer: OidcIssuer) -> str:
    return jwt.encode(claims, "", "none", headers={"kid": "one"})


def by_public_key(claims: dict[str, Any], issuer: OidcIssuer) -> str:
    """Sign with the public key as a shared secret, as some verifiers took it."""
    raw = issuer.key.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    return jwt.encode(claims, raw, "HS256", headers={"kid": "one"})


def by_another_key(claims: dict[str, Any], issuer: OidcIssuer) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    return jwt.encode(claims, key, "ES256", headers={"kid": "one"})


def by_an_unknown_key(claims: dict[str, Any], issuer: OidcIssuer) -> str:
    return jwt.encode(claims, issuer.key, "ES256", headers={"kid": "two"})


@pytest.mark.parametrize("forge", [unsigned, by_public_key, by_another_key, by_an_unknown_key])
def test_a_token_that_the_issuer_did_not_sign_is_refused(
    issuer: OidcIssuer, browser: httpx.Client, user: Callable[..., None], forge: Any
) -> None:
    issuer.forge = lambda claims: str(forge(claims, issuer))
    page = sign_in(browser)
    assert page.status_code == 403
    assert "token is not valid" in page.text


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"nonce": "other"}, "of another sign-in"),
        ({"nonce": None}, "of another sign-in"),
        ({"aud": "another-client"}, "token is not valid"),
        ({"iss": "https://elsewhere.example"}, "token is not valid"),
        ({"exp": int(time.time()) - 3_600}, "token is not valid"),
        ({"exp": None}, "token is not valid"),
        ({"azp": "another-client"}, "for another client"),
        ({"sub": "x" * 60}, "a text of 1 to 59 characters"),
        ({"sub": ""}, "a text of 1 to 59 characters"),
    ],
)
def test_a_token_for_something_else_is_refused(
    issuer: OidcIssuer,
    browser: httpx.Client,
    user: Callable[..., None],
    claims: dict[str, Any],
    reason: str,
) -> None:
    issuer.forge = lambda made: issuer.sign(
        {name: value for name, value in {**made, **claims}.items() if value is not None}
    )
    page = sign_in(browser)
    assert page.status_code == 403
    assert reason in page.text
    assert browser.get("/", follow_redirects=False).status_code == 303


def test_another_issuer_cannot_answer(browser: httpx.Client, user: Callable[..., None]) -> None:
    location = answer_of(browser)
    issuer = parse_qs(urlsplit(location).query)["iss"][0]
    other = location.replace(issuer.replace("://", "%3A%2F%2F").replace("1:", "1%3A"), "https%3A")
    assert other != location
    assert "another issuer answered" in browser.get(other).text


def test_answers_are_guessed_only_so_often(rest: str, browser: httpx.Client) -> None:
    for _ in range(GUESSES):
        browser.get("/sign-in/oidc")
        assert browser.get("/sign-in/oidc/callback?code=c&state=s").status_code == 403
    browser.get("/sign-in/oidc")
    assert "too many credentials" in browser.get("/sign-in/oidc/callback?code=c&state=s").text


def test_the_session_ends_after_an_hour(
    oidc_hub: Hub, browser: httpx.Client, user: Callable[..., None]
) -> None:
    """So that a role that is taken at the issuer ends here too."""
    page = sign_in(browser)
    assert "Max-Age=3600" in page.headers["set-cookie"]
    assert browser.get("/").status_code == 200
    row = schema.session.c
    with oidc_hub.services.database.write() as connection:
        connection.execute(update(schema.session).values(expires_at=row.expires_at - 3_600_000))
    assert browser.get("/", follow_redirects=False).status_code == 303


def test_no_principal_takes_the_name_of_an_issuers_user(oidc_hub: Hub) -> None:
    caller = Caller(oidc_hub.addresses)
    body = {"name": "OIDC:alice", "role": "viewer"}
    assert caller.http.post("/api/v1/principals", json=body).status_code == 422
    caller.close()


def test_a_hub_without_an_issuer_says_so(shared_caller: Any) -> None:
    with httpx.Client(base_url=shared_caller.addresses.rest, trust_env=False) as client:
        assert "oidc" not in client.get("/sign-in").text
        assert "has no issuer" in client.get("/sign-in/oidc").text
        assert client.get("/sign-in/oidc/callback?code=c").status_code == 403


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"oidc_issuer": "http://issuer.example"}, "oidc_issuer should be an https URL"),
        ({"oidc_client_id": ""}, "oidc_client_id should not be empty"),
        ({"oidc_roles": ()}, "GROUP=ROLE"),
        ({"oidc_roles": ("ops",)}, "should be GROUP=ROLE"),
        ({"oidc_roles": ("ops=king",)}, "role 'king' should be one of"),
        ({"oidc_roles": ("ops=admin:a:b:c",)}, "should be GROUP=ROLE"),
    ],
)
def test_settings_that_would_let_in_the_wrong_are_refused(
    changes: dict[str, Any], reason: str
) -> None:
    sound = HubSettings(
        oidc_issuer="https://issuer.example", oidc_client_id="c", oidc_roles=("ops=operator",)
    )
    with pytest.raises(ValueError, match=reason):
        replace(sound, **changes)


def test_an_issuer_that_does_not_answer_stops_no_one_with_a_key(tmp_path: Path) -> None:
    settings = replace(
        settings_in(tmp_path / "hub"),
        oidc_issuer="http://127.0.0.1:9",
        oidc_client_id=CLIENT,
        oidc_roles=ROLES,
    )
    hub = Hub(settings)
    hub.start()
    caller = Caller(hub.addresses)
    page = caller.http.get("/sign-in/oidc")
    assert page.status_code == 403
    assert "the issuer cannot be reached" in page.text
    assert caller.get("models") == []
    caller.close()
    hub.stop()
