"""No credential makes its holder the caller `local`, who may do what nobody else may."""

from pathlib import Path
from typing import Any

import pytest

from gnomon.runtime.errors import ConfigurationError, InvalidInput, Unauthenticated
from gnomon.server.serving.admission.authentication import (
    LOCAL,
    Authentication,
    Caller,
    Credentials,
    VerifiedCaller,
)
from gnomon.server.serving.admission.key_file import create_key

NAMES = ("local", "Local", "LOCAL", " local ", "", " ")


class Issuer(Credentials):
    """An issuer of tokens, each of which is its holder's name."""

    def __init__(self, file: Path) -> None:
        file.touch()
        self.file = file

    def load(self) -> None:
        """Nothing is to be read."""

    def names(self) -> tuple[str, ...]:
        return ()

    def believe(self, shown: str) -> VerifiedCaller:
        return VerifiedCaller(Caller(shown.removeprefix("token:")))


@pytest.mark.parametrize("name", [*NAMES, None])
def test_a_certificate_is_never_local(name: str | None) -> None:
    with pytest.raises(Unauthenticated, match="not called 'local'"):
        Authentication(None, needs_certificate=True).identify(None, name)
    assert (
        Authentication(None, needs_certificate=True).identify(None, "device-1").name == "device-1"
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_token_is_never_local(tmp_path: Path, name: str) -> None:
    authentication = Authentication(None, Issuer(tmp_path / "issuer"))
    with pytest.raises(Unauthenticated, match="not called 'local'"):
        authentication.identify(f"Bearer token:{name}")
    assert authentication.identify("Bearer token:ada").name == "ada"


@pytest.mark.parametrize("name", NAMES)
def test_a_key_is_never_local(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="not be 'local'"):
        create_key(tmp_path / "keys.json", name)


def test_without_any_credentials_callers_of_this_machine_are_local() -> None:
    assert Authentication(None).identify(None, None) is LOCAL


@pytest.mark.parametrize("role", ["node", "builder"])
@pytest.mark.parametrize("name", ["local", "hub"])
def test_a_certificate_of_the_hub_is_never_called_as_the_hub_itself(
    shared_caller: Any, fresh_key: Any, role: str, name: str
) -> None:
    """What it did would be in the audit chain as if the hub or its own user had done it."""
    token = shared_caller.token(role)
    with pytest.raises(InvalidInput, match="not be the hub's own"):
        shared_caller.stranger(token).enrol(token["token"], fresh_key(), name)


@pytest.mark.parametrize(
    "name", [*NAMES, "hub", "builder:ada", "node:device-1", "token:t", "Oidc:a"]
)
def test_no_principal_is_called_as_the_hub_itself(shared_caller: Any, name: str) -> None:
    body = {"name": name, "role": "viewer"}
    assert shared_caller.http.post("/api/v1/principals", json=body).status_code == 422
