"""One-time tokens: each allows one enrolment, under a name that matches a pattern, for one hour."""

import fnmatch
import hashlib
import re
import secrets
from dataclasses import dataclass

from sqlalchemy import RowMapping, insert, select, update

from gnomon.runtime.errors import InvalidInput, NotAllowed
from gnomon.runtime.packages.manifest import NAME_PATTERN
from gnomon.server.hub.access import environments
from gnomon.server.hub.access.authority import BUILDER, ROLES, Request
from gnomon.server.hub.access.environments import PRODUCTION
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.change import Change
from gnomon.server.hub.store.clock import new_id, now_ms
from gnomon.server.hub.store.database import Database
from gnomon.server.hub.store.rights import ANY, Actor, Role, is_reserved, parse_grant

#: How long a token may be used.
LIFETIME_SECONDS = 3_600

ANY_NAME = "*"

_PATTERN = re.compile(r"[a-z0-9_*-]{1,64}")


@dataclass(frozen=True)
class TokenGrant:
    """What a token allows, and whether it was made for just this name."""

    role: str
    environment: str
    models: str  # the pattern of those that a builder may publish
    names_one: bool
    is_retry: bool


def hash_secret(secret: str) -> str:
    """Return the SHA-256 of a secret, in hex: enough for secrets of 256 random bits."""
    return hashlib.sha256(secret.encode()).hexdigest()


def create(
    database: Database,
    actor: Actor | str,
    role: str,
    name_pattern: str = ANY_NAME,
    lifetime_seconds: int = LIFETIME_SECONDS,
    environment: str = PRODUCTION,
    models: str = ANY,
) -> str:
    """Make a token and return it; the hub keeps only its hash.

    Args:
        database: the hub's; the change is a transaction of its own.
        actor: whose right is checked, and who is in the audit record.
        role: that the certificate will have.
        name_pattern: names that it is good for.
        lifetime_seconds: how long from now the token can be used once.
        environment: the environment of the node that enrols with it.
        models: pattern of the names of the models that a builder may publish.

    Raises:
        InvalidInput: if the role is unknown or a pattern is malformed.
        NotFound: if there is no such environment.
    """
    if role not in ROLES:
        raise InvalidInput(f"role {role[:40]!r} should be one of {', '.join(ROLES)}")
    if not _PATTERN.fullmatch(name_pattern):
        raise InvalidInput(
            f"name {name_pattern[:80]!r} should be a name, or a pattern with * such as 'device-*'"
        )
    if role == BUILDER:
        parse_grant(Role.BUILDER, models)
    # A prefix, so that no token looks like a flag on a command line.
    secret = f"gnomon_{secrets.token_urlsafe(32)}"
    now = now_ms()
    with database.change(actor) as change:
        environments.check(change.connection, environment)
        token_id = new_id()
        token = {
            "id": token_id,
            "token_hash": hash_secret(secret),
            "role": role,
            "name_pattern": name_pattern,
            "environment": environment,
            "models": models,
            "created_at": now,
            "expires_at": now + lifetime_seconds * 1000,
        }
        change.execute(insert(schema.token).values(**token))
        shown = ("role", "name_pattern", "environment", "models")
        change.audit(
            "create_builder_token" if role == BUILDER else "create_token",
            token_id,
            {name: token[name] for name in shown},
            environment=environment,
        )
    return secret


def use(change: Change, secret: str, request: Request) -> TokenGrant:
    """Use a token up for a request. A retry of the same name with the same key is the same use.

    The caller checks that the name still has that key before it answers a retry.

    Raises:
        NotAllowed: if the token is unknown, expired, used, or made for other names.
    """
    columns = schema.token.c
    row = (
        change.connection.execute(
            select(schema.token).where(columns.token_hash == hash_secret(secret)).with_for_update()
        )
        .mappings()
        .one_or_none()
    )
    if row is None:
        raise NotAllowed("the token is not known here")
    _check(row, request)
    is_retry = row["used_at"] is not None
    if not is_retry:
        change.execute(
            update(schema.token)
            .where(columns.id == row["id"])
            .values(used_at=now_ms(), used_by=request.name, used_key=request.key_hash)
        )
    names_one = row["name_pattern"] == request.name
    return TokenGrant(row["role"], row["environment"], row["models"], names_one, is_retry)


def _check(row: RowMapping, request: Request) -> None:
    if row["expires_at"] <= now_ms():
        raise NotAllowed("the token has expired; ask for a new one")
    used = (row["used_by"], row["used_key"])
    if row["used_at"] is not None and used != (request.name, request.key_hash):
        raise NotAllowed(f"the token was used before, by {row['used_by']!r}; ask for a new one")
    # The name comes from an unauthenticated caller and must not be read as a pattern.
    if not re.fullmatch(NAME_PATTERN, request.name) or is_reserved(request.name):
        raise InvalidInput(
            f"name {request.name[:80]!r} should match {NAME_PATTERN}, and not be the hub's own"
        )
    if not fnmatch.fnmatchcase(request.name, row["name_pattern"]):
        raise NotAllowed(
            f"the token is for names like {row['name_pattern']!r}, not {request.name!r}"
        )
