"""Trusted public keys: of builders, for packages; of testers, for tests; of approvers."""

import enum
from dataclasses import dataclass
from fnmatch import fnmatchcase

from sqlalchemy import Connection, insert, select, update

from gnomon.runtime.errors import Conflict, InvalidInput, NotFound, UntrustedPackage
from gnomon.runtime.packages.package_keys import ALL_MODELS, PackageKey, parse_package_key
from gnomon.runtime.packages.signing import TrustStore
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.change import Change
from gnomon.server.hub.store.clock import now_ms
from gnomon.server.hub.store.database import Database
from gnomon.server.hub.store.rights import Actor

_KEY = schema.trusted_key.c


class KeyRole(enum.StrEnum):
    """What a key signs; it has one role."""

    BUILDER = "builder"  # packages
    TESTER = "tester"  # outcomes of test deployments
    APPROVER = "approver"  # approvals


def trusted(connection: Connection, role: KeyRole = KeyRole.BUILDER) -> list[PackageKey]:
    """Return the keys that are trusted now, in the order in which they were added."""
    rows = connection.execute(
        select(_KEY.key, _KEY.models)
        .where(_KEY.revoked_at.is_(None), _KEY.role == role.value)
        .order_by(_KEY.added_at, _KEY.key)
    )
    return [PackageKey(bytes.fromhex(row.key), row.models) for row in rows]


def trust_store(database: Database) -> TrustStore:
    """Return what the hub trusts."""
    with database.read() as connection:
        return TrustStore(trusted(connection))


def has_testers(connection: Connection, model: str) -> bool:
    """Return whether a tester's key was ever trusted for a model, also if it is revoked now."""
    patterns = connection.scalars(select(_KEY.models).where(_KEY.role == KeyRole.TESTER.value))
    return any(fnmatchcase(model, one) for one in patterns)


def check_signed(connection: Connection, model: str, version: str) -> None:
    """Check that a key that is trusted now signed each package of a version.

    Raises:
        UntrustedPackage: if none did; its key was revoked since it was published.
    """
    columns, trust = schema.version.c, TrustStore(trusted(connection))
    packages = connection.execute(
        select(columns.digest, columns.envelopes).where(
            columns.name == model, columns.version == version
        )
    )
    for package in packages:
        try:
            trust.verify(package.digest, [one.encode() for one in package.envelopes], model)
        except UntrustedPackage as error:
            raise UntrustedPackage(
                f"{model}@{version} is signed by no key that is trusted here now: {error}"
            ) from error


def add(
    database: Database,
    actor: Actor | str,
    name: str,
    key: str,
    role: str = KeyRole.BUILDER,
    models: str = ALL_MODELS,
) -> bool:
    """Trust an Ed25519 public key (32 bytes in hex); return whether it was new.

    One that is trusted already signs for the given models from now on.

    Args:
        database: the hub's; the change is a transaction of its own.
        actor: whose right is checked, and who is in the audit record.
        name: of the key's owner, as people know it.
        key: 32 bytes in hex.
        role: one of `KeyRole`.
        models: name or pattern of the models that it signs for.

    Raises:
        InvalidInput: if it is no such key, pattern or role.
        Conflict: if it was revoked; a revoked key is never trusted again.
    """
    wanted = parse_package_key(key, models)
    if role not in list(KeyRole):
        raise InvalidInput(f"a key's role should be {', '.join(KeyRole)}; not {role[:40]!r}")
    key = wanted.key.hex()
    with database.change(actor) as change:
        known = change.execute(
            select(_KEY.revoked_at, _KEY.role, _KEY.models).where(_KEY.key == key)
        ).one_or_none()
        detail = {"name": name, "role": str(role), "models": models}
        if known is None:
            values = {"key": key, "added_at": now_ms(), **detail}
            change.execute(insert(schema.trusted_key).values(**values))
        elif known.revoked_at is not None:
            raise Conflict(f"key {key[:16]} was revoked; use a new one")
        elif known.role != role:
            raise Conflict(f"key {key[:16]} is trusted in the role of {known.role} already")
        elif known.models == models:
            return False
        else:
            set_models(change, wanted)
        change.audit("trust_key", key, detail)
        return known is None


def set_models(change: Change, key: PackageKey) -> None:
    """Change the models that a known key signs for, in the caller's change."""
    change.execute(
        update(schema.trusted_key).where(_KEY.key == key.key.hex()).values(models=key.models)
    )


def revoke(database: Database, actor: Actor | str, key: str) -> None:
    """Trust a key no longer.

    Raises:
        NotFound: if it is not trusted now.
    """
    with database.change(actor) as change:
        done = change.execute(
            update(schema.trusted_key)
            .where(_KEY.key == key.lower(), _KEY.revoked_at.is_(None))
            .values(revoked_at=now_ms())
        )
        if done.rowcount == 0:
            raise NotFound(f"key {key[:16]!r} is not trusted here", kind="key")
        change.audit("revoke_key", key.lower())


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """An Ed25519 public key, in hex, whose signatures count until it is revoked; Unix ms.

    `models` is the pattern of the models that it signs for.
    """

    key: str
    name: str
    role: str
    models: str
    added_at: int
    revoked_at: int | None


def listing(connection: Connection) -> list[TrustedKey]:
    """Return all keys, revoked ones too."""
    rows = connection.execute(select(schema.trusted_key).order_by(_KEY.added_at)).mappings()
    return [TrustedKey(**row) for row in rows]
