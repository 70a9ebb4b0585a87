"""Sign-in with OpenID Connect: the authorization code flow with PKCE (extra `oidc`).

The browser's cookie has one random secret. State, nonce and code verifier are derived from it. So
an answer counts only in the browser that asked, and nothing is stored meanwhile. What a user may do
follows from the groups in the ID token, by the hub's settings.
"""

import base64
import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import urlencode

import msgspec

from gnomon.runtime.errors import ConfigurationError, NotAllowed, Unauthenticated
from gnomon.server.hub.access.issuer_client import IssuerClient
from gnomon.server.hub.access.principals import OIDC
from gnomon.server.hub.oidc_settings import OidcSettings, check_url
from gnomon.server.hub.store.rights import Actor

#: Signatures that count; none of them by a shared secret.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")

_NAME_CHARACTERS = 64 - len(OIDC)
_LEEWAY_SECONDS = 30.0
_DISCOVERY_SECONDS = 3_600.0
_KEYS_SECONDS = 30.0


class _Discovery(msgspec.Struct):
    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str


class _Tokens(msgspec.Struct):
    id_token: str


def new_secret() -> str:
    """Return the secret of one sign-in, for the browser's cookie."""
    return secrets.token_urlsafe(32)


class OidcSignIn:
    """Signs users of one issuer in. Safe to share between threads.

    Raises:
        ConfigurationError: PyJWT is not there (extra `oidc`), or the secret's file cannot be read.
    """

    def __init__(self, settings: OidcSettings) -> None:
        try:
            import jwt
        except ImportError as error:
            raise ConfigurationError(
                "oidc_issuer needs PyJWT; install gnomon with the extra 'oidc'"
            ) from error
        self._jwt: Any = jwt
        self._settings = settings
        self._client = IssuerClient(settings)
        self._lock = threading.Lock()
        self._found: _Discovery | None = None
        self._found_at = 0.0
        self._keys: dict[str, Any] = {}
        self._keys_at = 0.0

    def begin(self, secret: str, redirect_uri: str) -> str:
        """Return the issuer's URL to which a browser is sent.

        Args:
            secret: of `new_secret`, which only this browser has.
            redirect_uri: of this hub, to which the issuer sends it back.

        Raises:
            NotReady: the issuer cannot be reached.
            Unauthenticated: it describes itself wrongly.
        """
        challenge = hashlib.sha256(_derive(secret, "verifier").encode()).digest()
        query = {
            "response_type": "code",
            "scope": "openid profile email",
            "client_id": self._settings.client_id,
            "redirect_uri": redirect_uri,
            "state": _derive(secret, "state"),
            "nonce": _derive(secret, "nonce"),
            "code_challenge": base64.urlsafe_b64encode(challenge).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        endpoint = self._discover().authorization_endpoint
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"

    def finish(self, secret: str, redirect_uri: str, answer: Mapping[str, str]) -> Actor:
        """Return who has signed in, with what was granted to their groups.

        Args:
            secret: of the browser's cookie.
            redirect_uri: as at the beginning.
            answer: the query with which the issuer sent the browser back.

        Raises:
            NotReady: the issuer cannot be reached.
            Unauthenticated: the answer is not for this browser, or its token does not verify.
            NotAllowed: no group of the user has a role here.
        """
        if not hmac.compare_digest(_derive(secret, "state"), answer.get("state", "")):
            raise Unauthenticated("this sign-in was not begun in this browser; begin again")
        if answer.get("iss", self._settings.issuer) != self._settings.issuer:
            raise Unauthenticated("another issuer answered")
        if "code" not in answer:
            reason = answer.get("error", "it sent no code")[:100]
            raise Unauthenticated(f"the issuer refused the sign-in: {reason}")
        form = {
            "grant_type": "authorization_code",
            "code": answer["code"],
            "redirect_uri": redirect_uri,
            "client_id": self._settings.client_id,
            "code_verifier": _derive(secret, "verifier"),
        }
        data = self._client.post(self._discover().token_endpoint, form)
        claims = self._verify(_decode(data, _Tokens).id_token, _derive(secret, "nonce"))
        return self._actor(claims)

    def _verify(self, token: str, nonce: str) -> dict[str, Any]:
        try:
            key = self._key(str(self._jwt.get_unverified_header(token).get("kid", "")))
            claims: dict[str, Any] = self._jwt.decode(
                token,
                key,
                algorithms=list(ALGORITHMS),
                issuer=self._settings.issuer,
                audience=self._settings.client_id,
                leeway=_LEEWAY_SECONDS,
                options={"require": ["exp", "iat", "iss", "aud", "sub"]},
            )
        except (self._jwt.PyJWTError, ValueError, TypeError) as error:
            raise Unauthenticated(f"the issuer's token is not valid: {error}") from error
        if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
            raise Unauthenticated("the issuer's token is of another sign-in")
        if claims.get("azp", self._settings.client_id) != self._settings.client_id:
            raise Unauthenticated("the issuer's token is for another client")
        return claims

    def _actor(self, claims: Mapping[str, Any]) -> Actor:
        settings = self._settings
        name = claims.get(settings.name_claim)
        if not isinstance(name, str) or not 0 < len(name) <= _NAME_CHARACTERS:
            raise Unauthenticated(
                f"the claim {settings.name_claim!r} should be a text of 1 to {_NAME_CHARACTERS} "
                "characters"
            )
        if settings.name_claim == "email" and claims.get("email_verified") is not True:
            raise NotAllowed("the issuer has not verified the address of this user")
        groups = _groups(claims, settings.groups_claim)
        grants = [grant for group in groups for grant in settings.grants.get(group, ())]
        if not grants:
            raise NotAllowed(f"no group of {name!r} has a role here; an administrator gives one")
        return Actor(OIDC + name, tuple(dict.fromkeys(grants)))

    def _discover(self) -> _Discovery:
        with self._lock:
            found = self._found
            if found is not None and time.monotonic() - self._found_at < _DISCOVERY_SECONDS:
                return found
        issuer = self._settings.issuer
        url = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
        found = cast(_Discovery, _decode(self._client.get(url), _Discovery))
        if found.issuer != issuer:
            raise Unauthenticated(
                f"oidc_issuer is {issuer!r}, but it calls itself {found.issuer!r}"
            )
        try:
            for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
                check_url(getattr(found, name), f"the issuer's {name}")
        except ValueError as error:
            raise Unauthenticated(str(error)) from error
        with self._lock:
            self._found, self._found_at = found, time.monotonic()
        return found

    def _key(self, key_id: str) -> Any:
        """Return the issuer's key of an id; fetch its keys again if it is not known.

        Raises:
            ValueError: it has no such key.
        """
        uri = self._discover().jwks_uri
        with self._lock:
            is_due = time.monotonic() - self._keys_at > _KEYS_SECONDS or not self._keys
            if key_id not in self._keys and is_due:
                found = self._jwt.PyJWKSet.from_json(self._client.get(uri).decode()).keys
                self._keys = {
                    one.key_id or "": one for one in found if one.algorithm_name in ALGORITHMS
                }
                self._keys_at = time.monotonic()
            if key_id not in self._keys:
                raise ValueError(f"the issuer has no key {key_id[:40]!r}")
            return self._keys[key_id]


def _derive(secret: str, purpose: str) -> str:
    digest = hmac.digest(secret.encode(), purpose.encode(), "sha256")
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _decode(data: bytes, kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, ValueError) as error:
        raise Unauthenticated(f"the issuer's answer cannot be read: {error}") from error


def _groups(claims: Mapping[str, Any], path: str) -> list[str]:
    """Return the texts of a claim, or of one within objects."""
    found: Any = claims.get(path)
    if found is None:
        found = claims
        for part in path.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
    listed = [found] if isinstance(found, str) else found
    return [one for one in listed if isinstance(one, str)] if isinstance(listed, list) else []
