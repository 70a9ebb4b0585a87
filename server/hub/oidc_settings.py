"""Settings of sign-in with OpenID Connect."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from gnomon.runtime.errors import InvalidInput
from gnomon.server.hub.store.rights import ANY, Grant, parse_grant
from gnomon.server.rest.hosts import is_loopback

_PARTS = 3


@dataclass(frozen=True)
class OidcSettings:
    """An issuer, this hub's client there, and what its users may do.

    Attributes:
        issuer: its URL, as in its tokens.
        client_id: of this hub there.
        client_secret_file: of the client's secret; None: a public client.
        name_claim: the claim that names a user.
        groups_claim: the claim that lists a user's groups, with dots into objects.
        roles: GROUP=ROLE, or GROUP=ROLE:MODELS:ENVIRONMENTS with patterns.

    Raises:
        ValueError: one is missing or malformed; the message names it.
    """

    issuer: str
    client_id: str
    client_secret_file: Path | None
    name_claim: str
    groups_claim: str
    roles: Sequence[str]

    def __post_init__(self) -> None:
        check_url(self.issuer, "oidc_issuer")
        for name in ("client_id", "name_claim", "groups_claim"):
            if not getattr(self, name):
                raise ValueError(f"oidc_{name} should not be empty, since there is an oidc_issuer")
        if not self.roles:
            raise ValueError("oidc_roles should give some group a role: GROUP=ROLE")
        _ = self.grants

    @property
    def grants(self) -> dict[str, list[Grant]]:
        """Return what each group may do."""
        found: dict[str, list[Grant]] = {}
        for one in self.roles:
            group, equals, right = one.rpartition("=")
            parts = right.split(":")
            if not (group and equals) or len(parts) > _PARTS:
                raise ValueError(
                    f"oidc_roles: {one[:80]!r} should be GROUP=ROLE or "
                    "GROUP=ROLE:MODELS:ENVIRONMENTS"
                )
            try:
                grant = parse_grant(*parts, *[ANY] * (_PARTS - len(parts)))
            except InvalidInput as error:
                raise ValueError(f"oidc_roles: {one[:80]!r}: {error}") from error
            found.setdefault(group, []).append(grant)
        return found


def check_url(url: str, what: str) -> str:
    """Return a URL that leads to this machine, or elsewhere by TLS.

    Raises:
        ValueError: it does not.
    """
    parts = urlsplit(url)
    is_local = parts.scheme == "http" and parts.hostname is not None and is_loopback(parts.hostname)
    if not parts.hostname or not (parts.scheme == "https" or is_local):
        raise ValueError(f"{what} should be an https URL, not {url[:80]!r}")
    return url
