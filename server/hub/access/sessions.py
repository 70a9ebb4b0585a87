"""Sessions of the web page, and one-time links that begin one.

The database holds only hashes. What a session may do is looked up at every request, so a revoked
key ends the sessions that it began. A session of an issuer's user holds what was granted.
"""

import hashlib
import secrets

from sqlalchemy import delete, insert, select

from gnomon.runtime.errors import Unauthenticated
from gnomon.server.hub.access import principals
from gnomon.server.hub.access.enrolment_tokens import hash_secret
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.clock import now_ms
from gnomon.server.hub.store.database import Database
from gnomon.server.hub.store.rights import Actor, parse_grant

#: How long a session lasts, and how long a link may be used.
SESSION_SECONDS = 12 * 3_600
LINK_SECONDS = 600
#: How long one lasts of a user whose rights an issuer states, which may change there.
GRANTED_SECONDS = 3_600

_SESSION = "session"
_LINK = "link"
_ROW = schema.session.c


def create_link(database: Database, name: str) -> str:
    """Return the secret of a link that begins one session of a caller."""
    return _create(database, name, _LINK, LINK_SECONDS)


def begin(database: Database, name: str) -> str:
    """Return the secret of a new session of a caller."""
    return _create(database, name, _SESSION, SESSION_SECONDS)


def begin_granted(database: Database, actor: Actor) -> str:
    """Return the secret of a new session of an issuer's user, with what was granted."""
    grants = [[one.role.value, one.models, one.environments] for one in actor.grants]
    return _create(database, actor.name, _SESSION, GRANTED_SECONDS, grants)


def use_link(database: Database, link: str) -> str:
    """Return the name for which a link was made, which is used up by that.

    Raises:
        Unauthenticated: it is not known, was used before, or is too old.
    """
    with database.write() as connection:
        name = connection.scalar(
            delete(schema.session)
            .where(
                _ROW.secret_hash == hash_secret(link),
                _ROW.kind == _LINK,
                _ROW.expires_at > now_ms(),
            )
            .returning(_ROW.principal)
        )
    if name is None:
        raise Unauthenticated("this link was used before or is too old; make a new one")
    return str(name)


def find(database: Database, secret: str) -> Actor | None:
    """Return whose session this is, with what was granted; None if it has ended."""
    with database.read() as connection:
        found = connection.execute(
            select(_ROW.principal, _ROW.grants).where(
                _ROW.secret_hash == hash_secret(secret),
                _ROW.kind == _SESSION,
                _ROW.expires_at > now_ms(),
            )
        ).one_or_none()
        if found is None:
            return None
        if found.grants is not None:
            return Actor(found.principal, tuple(parse_grant(*one) for one in found.grants))
        return principals.find_named(connection, found.principal)


def end(database: Database, secret: str) -> None:
    """End a session."""
    with database.write() as connection:
        connection.execute(delete(schema.session).where(_ROW.secret_hash == hash_secret(secret)))


def end_all(database: Database, name: str) -> None:
    """End all sessions of a caller, and void its links."""
    with database.write() as connection:
        connection.execute(delete(schema.session).where(_ROW.principal == name))


def csrf_token(secret: str) -> str:
    """Return what a form of a session must hold; a page of another origin cannot know it."""
    return hashlib.sha256(b"csrf:" + secret.encode()).hexdigest()


def _create(
    database: Database, name: str, kind: str, seconds: int, grants: list[list[str]] | None = None
) -> str:
    secret = secrets.token_urlsafe(32)
    now = now_ms()
    with database.write() as connection:
        connection.execute(delete(schema.session).where(_ROW.expires_at <= now))
        connection.execute(
            insert(schema.session).values(
                secret_hash=hash_secret(secret),
                kind=kind,
                principal=name,
                created_at=now,
                expires_at=now + seconds * 1_000,
                grants=grants,
            )
        )
    return secret
