"""People and programs: their API keys, of which only hashes are kept."""

import secrets
from collections import defaultdict
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, update

from gnomon.runtime.errors import Conflict, InvalidInput, NotAllowed, NotFound
from gnomon.server.hub.access.enrolment_tokens import hash_secret
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.change import Change
from gnomon.server.hub.store.clock import new_id, now_ms
from gnomon.server.hub.store.database import Database
from gnomon.server.hub.store.rights import Actor, Grant, Role, is_reserved

_NAME_CHARACTERS = 64
_PRINCIPAL = schema.principal.c
_GRANT = schema.role_grant.c

#: Whoever shows the key in the hub's data folder: the hub's own user, who could read and write the
#: database as well. No principal may have this name.
#: Before the names of users of an issuer of OpenID Connect.
OIDC = "oidc:"

LOCAL = Actor("local", (Grant(Role.ADMIN),))


def create(change: Change, name: str, first: Grant) -> str:
    """Make a principal and return its API key; the hub keeps only the key's hash.

    Raises:
        InvalidInput: if the name is no valid name.
        Conflict: if the name is taken.
    """
    if is_reserved(name) or len(name.strip()) > _NAME_CHARACTERS:
        raise InvalidInput(
            f"name should have 1 to {_NAME_CHARACTERS} characters, and not be the hub's own, such "
            f"as {LOCAL.name!r} or what begins with {OIDC!r}"
        )
    if change.connection.scalar(select(_PRINCIPAL.id).where(_PRINCIPAL.name == name)):
        raise Conflict(f"there is a principal {name!r} already")
    key = f"gnomon_{secrets.token_urlsafe(32)}"
    change.execute(
        insert(schema.principal).values(
            id=new_id(), name=name, key_hash=hash_secret(key), created_at=now_ms()
        )
    )
    _insert(change, name, first)
    change.audit("create_principal", name, _described(first))
    return key


def find(database: Database, key: str) -> Actor:
    """Return whose API key this is, with all that was granted.

    Raises:
        NotAllowed: if no principal has it.
    """
    with database.read() as connection:
        name = connection.scalar(
            select(_PRINCIPAL.name).where(
                _PRINCIPAL.key_hash == hash_secret(key), _PRINCIPAL.revoked_at.is_(None)
            )
        )
        if name is None:
            raise NotAllowed("the API key is not known here")
        return Actor(name, tuple(_grants(connection, name)))


def find_named(connection: Connection, name: str) -> Actor | None:
    """Return a principal with all that was granted; None if it was revoked or is unknown."""
    if name == LOCAL.name:
        return LOCAL
    known = connection.scalar(
        select(_PRINCIPAL.id).where(_PRINCIPAL.name == name, _PRINCIPAL.revoked_at.is_(None))
    )
    return None if known is None else Actor(name, tuple(_grants(connection, name)))


def grant(change: Change, name: str, wanted: Grant) -> None:
    """Give a principal one more role, in the caller's change.

    Raises:
        NotFound: if no principal has that name.
        Conflict: if it has this very grant.
    """
    _check_known(change.connection, name)
    if wanted in _grants(change.connection, name):
        raise Conflict(f"{name!r} is {wanted.role} there already")
    _insert(change, name, wanted)
    change.audit("grant_role", name, _described(wanted))


def take(change: Change, name: str, unwanted: Grant) -> None:
    """Take a grant away from a principal, in the caller's change.

    Raises:
        NotFound: if it has no such grant.
    """
    done = change.execute(
        delete(schema.role_grant).where(
            _GRANT.principal == name,
            _GRANT.role == unwanted.role.value,
            _GRANT.models == unwanted.models,
            _GRANT.environments == unwanted.environments,
        )
    )
    if done.rowcount == 0:
        raise NotFound(
            f"{name!r} is no {unwanted.role} of models {unwanted.models!r} in environments "
            f"{unwanted.environments!r}",
            kind="grant",
        )
    change.audit("take_role", name, _described(unwanted))


def revoke(change: Change, name: str) -> None:
    """Make a principal's key worthless, in the caller's change.

    Raises:
        NotFound: if no principal has that name.
    """
    done = change.execute(
        update(schema.principal)
        .where(_PRINCIPAL.name == name, _PRINCIPAL.revoked_at.is_(None))
        .values(revoked_at=now_ms())
    )
    if done.rowcount == 0:
        raise NotFound(f"there is no principal {name!r}", kind="principal")
    change.audit("revoke_principal", name)


@dataclass(frozen=True, slots=True)
class GrantRecord:
    """A role, for the models and environments that match the patterns."""

    role: str
    models: str
    environments: str


@dataclass(frozen=True, slots=True)
class PrincipalRecord:
    """A person or program with an API key, without the key; times are Unix milliseconds."""

    name: str
    created_at: int
    revoked_at: int | None
    grants: list[GrantRecord]


def listing(connection: Connection) -> list[PrincipalRecord]:
    """Return all principals by name with their grants, those revoked too; no key or its hash."""
    grants: dict[str, list[GrantRecord]] = defaultdict(list)
    for row in connection.execute(select(schema.role_grant).order_by(_GRANT.role, _GRANT.models)):
        grants[row.principal].append(GrantRecord(row.role, row.models, row.environments))
    rows = connection.execute(
        select(_PRINCIPAL.name, _PRINCIPAL.created_at, _PRINCIPAL.revoked_at).order_by(
            _PRINCIPAL.name
        )
    )
    return [PrincipalRecord(**row._mapping, grants=grants[row.name]) for row in rows]


def _grants(connection: Connection, name: str) -> list[Grant]:
    rows = connection.execute(
        select(_GRANT.role, _GRANT.models, _GRANT.environments)
        .where(_GRANT.principal == name)
        .order_by(_GRANT.role, _GRANT.models)
    )
    return [Grant(Role(row.role), row.models, row.environments) for row in rows]


def _insert(change: Change, name: str, wanted: Grant) -> None:
    change.execute(
        insert(schema.role_grant).values(
            principal=name, **_described(wanted), granted_at=now_ms(), actor=change.actor
        )
    )


def _described(one: Grant) -> dict[str, str]:
    return {"role": one.role.value, "models": one.models, "environments": one.environments}


def _check_known(connection: Connection, name: str) -> None:
    known = connection.scalar(
        select(_PRINCIPAL.id).where(_PRINCIPAL.name == name, _PRINCIPAL.revoked_at.is_(None))
    )
    if known is None:
        raise NotFound(f"there is no principal {name!r}", kind="principal")
