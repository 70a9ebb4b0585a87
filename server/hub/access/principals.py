"""People and programs on other machines: their API keys, of which only hashes are kept."""

import secrets
from dataclasses import dataclass

from sqlalchemy import insert, select, update

from gnomon.runtime.errors import Conflict, InvalidInput, NotAllowed, UnknownModel
from gnomon.server.hub.access.tokens import hash_secret
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.clock import new_id, now_ms
from gnomon.server.hub.store.database import Database

VIEWER = "viewer"
OPERATOR = "operator"
ROLES = (VIEWER, OPERATOR)

_NAME_CHARACTERS = 64
_PRINCIPAL = schema.principal.c


@dataclass(frozen=True)
class Principal:
    """Who asks: a viewer may read, an operator may change."""

    name: str
    role: str


#: Whoever is on this machine: they could read the database as well.
LOCAL = Principal("local", OPERATOR)


def create(database: Database, actor: str, name: str, role: str) -> str:
    """Make a principal and return its API key; the hub keeps only the key's hash.

    Raises:
        InvalidInput: where name or role is none.
        Conflict: where the name is taken.
    """
    if role not in ROLES:
        raise InvalidInput(f"role {role[:40]!r} should be one of {', '.join(ROLES)}")
    if not 0 < len(name) <= _NAME_CHARACTERS or name == LOCAL.name:
        raise InvalidInput(
            f"name should have 1 to {_NAME_CHARACTERS} characters and not be {LOCAL.name!r}"
        )
    key = f"gnomon_{secrets.token_urlsafe(32)}"
    with database.change(actor) as change:
        if change.connection.scalar(select(_PRINCIPAL.id).where(_PRINCIPAL.name == name)):
            raise Conflict(f"there is a principal {name!r} already")
        change.execute(
            insert(schema.principal).values(
                id=new_id(), name=name, role=role, key_hash=hash_secret(key), created_at=now_ms()
            )
        )
        change.audit("create_principal", name, {"role": role})
    return key


def find(database: Database, key: str) -> Principal:
    """Return whose API key this is.

    Raises:
        NotAllowed: where it is nobody's.
    """
    with database.read() as connection:
        row = connection.execute(
            select(_PRINCIPAL.name, _PRINCIPAL.role).where(
                _PRINCIPAL.key_hash == hash_secret(key), _PRINCIPAL.revoked_at.is_(None)
            )
        ).one_or_none()
    if row is None:
        raise NotAllowed("the API key is not known here")
    return Principal(row.name, row.role)


def revoke(database: Database, actor: str, name: str) -> None:
    """Make a principal's key worthless.

    Raises:
        UnknownModel: where there is none of that name.
    """
    with database.change(actor) as change:
        done = change.execute(
            update(schema.principal)
            .where(_PRINCIPAL.name == name, _PRINCIPAL.revoked_at.is_(None))
            .values(revoked_at=now_ms())
        )
        if done.rowcount == 0:
            raise UnknownModel(f"there is no principal {name!r}")
        change.audit("revoke_principal", name)
