"""Takes metadata that was signed elsewhere: by an operator, or by this hub before a restore."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select, update
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

from gnomon.runtime.errors import InvalidInput
from gnomon.runtime.trust import content
from gnomon.runtime.trust.updater import LIMITS
from gnomon.server.hub.access import keys
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.change import Change
from gnomon.server.hub.store.clock import now_ms
from gnomon.server.hub.trust import stored
from gnomon.server.hub.trust.signing_keys import SigningKeys

_KEY = schema.trusted_key.c


@dataclass(frozen=True, slots=True)
class SignedFile:
    """Metadata of a role, as it came."""

    role: str
    data: bytes

    def decode(self) -> Metadata[Any]:
        """Return the metadata.

        Raises:
            InvalidInput: it is too large, is no metadata, or is of a role that the hub signs.
        """
        limit = LIMITS["targets"]
        if len(self.data) > limit:
            raise InvalidInput(f"{self.role}: {len(self.data)} bytes; at most {limit} are taken")
        try:
            metadata: Metadata[Any] = Metadata.from_bytes(self.data)
        except (RepositoryError, ValueError) as error:
            raise InvalidInput(f"{self.role}: this is no signed metadata: {error}") from error
        expected = Root.type if self.role == Root.type else Targets.type
        if metadata.signed.type != expected or self.role in (Snapshot.type, Timestamp.type):
            raise InvalidInput(f"{self.role}: this is {metadata.signed.type} metadata")
        return metadata


def adopt(
    connection: Connection, files: Iterable[SignedFile], keys_here: SigningKeys | None = None
) -> dict[str, int]:
    """Store metadata that is newer than this hub's and verifies; return the versions by role.

    Args:
        connection: of the caller's transaction.
        files: roots, targets and delegated targets, in any order; what is known is left out.
        keys_here: of this hub, which sign a root that follows on one that names them; None: a root
            must be signed already.

    Raises:
        InvalidInput: one is no metadata, or is not signed by the keys that it should be.
    """
    decoded = [(one.role, one.decode(), one.data) for one in files]
    order = {Root.type: 0, Targets.type: 1}
    decoded.sort(key=lambda one: (order.get(one[0], 2), one[1].signed.version))
    taken: dict[str, int] = {}
    for role, metadata, data in decoded:
        if keys_here is not None and role == Root.type:
            data = _cosigned(connection, metadata, keys_here)
        if _adopt_one(connection, role, metadata, data):
            taken[role] = metadata.signed.version
    found = stored.load(connection)
    if Root.type in taken:
        _verify(found.root, Targets.type, found.others[Targets.type].metadata)
    return taken


def follow_keys(change: Change) -> None:
    """Make the package keys that this hub trusts those that the targets metadata states."""
    statement = content.targets_statement(stored.load(change.connection).targets)
    stated = {one.key.hex(): one for one in statement.keys}
    present = {one.key.hex(): one for one in keys.trusted(change.connection)}
    for key in sorted(present.keys() - stated.keys()):
        change.execute(
            update(schema.trusted_key).where(_KEY.key == key).values(revoked_at=now_ms())
        )
        change.audit("revoke_key", key, {"reason": "newer metadata of a node does not state it"})
    for key in sorted(present.keys() & stated.keys()):
        if present[key] != stated[key]:
            keys.set_models(change, stated[key])
            reason = "newer metadata of a node states other models"
            change.audit("trust_key", key, {"reason": reason, "models": stated[key].models})
    for key in sorted(stated.keys() - present.keys()):
        known = change.execute(select(_KEY.key).where(_KEY.key == key)).one_or_none()
        if known is not None:
            continue  # revoked here: a revoked key is never trusted again
        values = {
            "key": key,
            "name": "from a node",
            "role": "builder",
            "models": stated[key].models,
            "added_at": now_ms(),
        }
        change.execute(insert(schema.trusted_key).values(**values))
        change.audit("trust_key", key, {"reason": "newer metadata of a node states it"})


def _cosigned(connection: Connection, root: Metadata[Any], keys_here: SigningKeys) -> bytes:
    """Return a root with the signatures of this hub, where the root before names its keys."""
    before = stored.load(connection).root
    if root.signed.version == before.version + 1:
        for signer in keys_here.find(before.roles[Root.type].keyids):
            root.sign(signer, append=True)
    return root.to_bytes()


def _adopt_one(connection: Connection, role: str, metadata: Metadata[Any], data: bytes) -> bool:
    found, version = stored.load(connection), metadata.signed.version
    known = found.versions.get(role, 0)
    if version <= known:
        return False
    if role == Root.type:
        if version != known + 1:
            raise InvalidInput(f"root {version} does not follow on root {known}")
        _verify(found.root, role, metadata)
        _verify(metadata.signed, role, metadata)
    elif role == Targets.type:
        _verify(found.root, role, metadata)
        content.targets_statement(metadata.signed)
    else:
        _verify(found.targets, role, metadata)
    stored.store(connection, role, data)
    return True


def _verify(delegator: Root | Targets, role: str, metadata: Metadata[Any]) -> None:
    try:
        delegator.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
    except (RepositoryError, ValueError) as error:
        raise InvalidInput(
            f"{role} {metadata.signed.version} is not signed as {delegator.type} "
            f"{delegator.version} says: {error}"
        ) from error
