"""JSON Web Tokens of an external issuer (RFC 7519; extra `jwt`).

The issuer's public keys are in a file: a JWK set, or one key as PEM. The server fetches nothing. It
accepts only the configured algorithms, which are all asymmetric; never `none`. A token needs `exp`,
`iss`, `aud` and `sub`. Its scopes (`scope` as a text, or `scp` as a list) are the routes that it
may use: `predict:eta`, or `predict:*` for all; without a scope, none.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from gnomon.runtime.errors import ConfigurationError, Unauthenticated
from gnomon.server.serving.admission.authentication import Caller, VerifiedCaller
from gnomon.server.serving.token_settings import ALGORITHMS, TokenSettings

SCOPE = "predict:"
#: The clocks of issuer and server may differ by so much.
LEEWAY_SECONDS = 10.0
#: Longest accepted name; names go to logs and metrics.
_NAME_CHARACTERS = 128
_TOKEN_CHARACTERS = 8_192


class Tokens:
    """The tokens of one issuer.

    Raises:
        ConfigurationError: PyJWT is not there (extra `jwt`).
    """

    def __init__(self, settings: TokenSettings) -> None:
        try:
            import jwt
        except ImportError as error:
            raise ConfigurationError(
                "tokens need PyJWT; install gnomon with the extra 'jwt'"
            ) from error
        self._jwt: Any = jwt
        self._settings = settings
        self.file = settings.file
        # By the key's id; the one of a PEM file is for all.
        self._keys: Mapping[str, Any] = {}

    def load(self) -> None:
        """Read the keys.

        Raises:
            ConfigurationError: the file holds none.
        """
        try:
            data = self.file.read_text()
            self._keys = self._read_set(data) if self.file.suffix == ".json" else {"": data}
            for key in self._keys.values():
                self._check_key(key)
        except (OSError, ValueError, TypeError, self._jwt.PyJWTError) as error:
            raise ConfigurationError(
                f"{self.file} cannot be read as an issuer's public keys: {error}"
            ) from error

    def names(self) -> Sequence[str]:
        """Return nothing: an issuer's callers are known only by their tokens."""
        return ()

    def believe(self, shown: str) -> VerifiedCaller | None:
        """Return the caller of a token; None if the text is not a token.

        Raises:
            Unauthenticated: the token is not valid; the message says why.
        """
        if shown.count(".") != 2:
            return None
        if len(shown) > _TOKEN_CHARACTERS:
            raise Unauthenticated(f"the token is longer than {_TOKEN_CHARACTERS} characters")
        settings = self._settings
        try:
            key = self._key(self._jwt.get_unverified_header(shown))
            claims = self._jwt.decode(
                shown,
                key,
                algorithms=list(settings.algorithms),
                issuer=settings.issuer,
                audience=settings.audience,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except (self._jwt.PyJWTError, ValueError, TypeError) as error:
            raise Unauthenticated(f"the token is not valid: {_why(error)}") from error
        name = claims["sub"]
        if not isinstance(name, str) or not 0 < len(name) <= _NAME_CHARACTERS:
            raise Unauthenticated(
                f"the token's sub should be a text of 1 to {_NAME_CHARACTERS} characters"
            )
        return VerifiedCaller(Caller(name, _models(claims)), float(claims["exp"]) + LEEWAY_SECONDS)

    def _read_set(self, data: str) -> dict[str, Any]:
        document = json.loads(data)
        if not isinstance(document, dict):
            raise ValueError('it should be {"keys": […]}')
        found = self._jwt.PyJWKSet.from_dict(document).keys
        keys = {one.key_id or "": one for one in found}
        if len(keys) != len(found):
            raise ValueError("keys of a set need ids of their own (kid)")
        return keys

    def _check_key(self, key: Any) -> None:
        """Refuse what no allowed algorithm can use, first of all a secret that could sign."""
        if isinstance(key, str):
            if "PUBLIC KEY" not in key and "CERTIFICATE" not in key:
                raise ValueError("it should be a public key as PEM, or a JWK set named *.json")
            prepared = [
                self._jwt.get_algorithm_by_name(name).prepare_key
                for name in self._settings.algorithms
            ]
            _first_that_takes(prepared, key)
        elif key.algorithm_name not in ALGORITHMS or hasattr(key.key, "private_bytes"):
            raise ValueError(f"a key for {key.algorithm_name!r} is not a public key")

    def _key(self, header: Mapping[str, Any]) -> Any:
        """Return the key that a token's header names.

        Raises:
            ValueError: no key has that id.
        """
        if set(self._keys) == {""}:
            return self._keys[""]
        wanted = str(header.get("kid", ""))
        if wanted not in self._keys:
            raise ValueError(f"its issuer's keys have none of id {wanted[:40]!r}")
        return self._keys[wanted]


def _first_that_takes(prepare: Sequence[Any], key: str) -> None:
    problems = []
    for one in prepare:
        try:
            one(key)
        except Exception as error:
            problems.append(str(error))
        else:
            return
    raise ValueError(f"no allowed algorithm can use the key: {'; '.join(dict.fromkeys(problems))}")


def _models(claims: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the routes of a token's scopes."""
    given = claims.get("scope", claims.get("scp", ()))
    scopes = given.split() if isinstance(given, str) else given
    if not isinstance(scopes, list | tuple):
        return ()
    texts = [scope for scope in scopes if isinstance(scope, str) and scope.startswith(SCOPE)]
    return tuple(dict.fromkeys(text.removeprefix(SCOPE) for text in texts))


def _why(error: Exception) -> str:
    """Return what was wrong in a token, without anything of it but the id of a key."""
    return str(error)[:200]
