"""Signed metadata in the database: every root, and the newest of each other role."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, select
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp
from tuf.api.serialization import DeserializationError

from gnomon.runtime.errors import StorageError
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.clock import now_ms

#: What brings back metadata that is missing or damaged.
RESTORE = "put it back from a backup (`gnomon hub restore`)"

_ROW = schema.trust_metadata.c


@dataclass(frozen=True, slots=True)
class StoredMetadata:
    """One file of metadata; `created_at` is the hub's clock when it was stored (Unix ms)."""

    role: str
    version: int
    data: bytes
    created_at: int

    @property
    def metadata(self) -> Metadata[Any]:
        """Return the file decoded.

        Raises:
            StorageError: it is damaged.
        """
        try:
            return Metadata.from_bytes(self.data)
        except DeserializationError as error:
            raise StorageError(
                f"{self.role} {self.version} of the signed metadata is damaged: {error}; {RESTORE}"
            ) from error


@dataclass(frozen=True)
class MetadataSet:
    """All that is stored: the roots in order, and the newest of each other role.

    A role of which nothing is stored is a `StorageError`.
    """

    roots: tuple[StoredMetadata, ...]
    others: Mapping[str, StoredMetadata]

    @property
    def is_empty(self) -> bool:
        """Return whether nothing was ever stored."""
        return not self.roots and not self.others

    @property
    def root(self) -> Root:
        """Return the newest root."""
        signed: Root = self.newest(Root.type).metadata.signed
        return signed

    @property
    def targets(self) -> Targets:
        """Return the top-level targets."""
        signed: Targets = self.newest(Targets.type).metadata.signed
        return signed

    @property
    def snapshot(self) -> Snapshot:
        """Return the snapshot."""
        signed: Snapshot = self.newest(Snapshot.type).metadata.signed
        return signed

    @property
    def timestamp(self) -> Timestamp:
        """Return the timestamp."""
        signed: Timestamp = self.newest(Timestamp.type).metadata.signed
        return signed

    def newest(self, role: str) -> StoredMetadata:
        """Return the newest metadata of a role.

        Raises:
            StorageError: nothing of it is stored.
        """
        found = self.roots[-1] if role == Root.type and self.roots else self.others.get(role)
        if found is None:
            raise StorageError(f"{role} of the signed metadata is missing; {RESTORE}")
        return found

    def is_signed(self, role: str) -> bool:
        """Return whether a role's metadata is there, signed as the newest root says."""
        if role not in self.others:
            return False
        metadata = self.others[role].metadata
        try:
            self.root.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
        except RepositoryError:
            return False
        return True

    @property
    def versions(self) -> dict[str, int]:
        """Return the newest version of each role."""
        found = {role: one.version for role, one in self.others.items()}
        return {Root.type: self.roots[-1].version, **found} if self.roots else found


def load(connection: Connection) -> MetadataSet:
    """Return all that is stored."""
    rows = connection.execute(select(schema.trust_metadata).order_by(_ROW.version)).mappings()
    found = [StoredMetadata(**row) for row in rows]
    roots = tuple(one for one in found if one.role == Root.type)
    return MetadataSet(roots, {one.role: one for one in found if one.role != Root.type})


def store(connection: Connection, role: str, metadata: Metadata[Any] | bytes) -> None:
    """Store new metadata of a role; of roles other than root, what was before is removed."""
    data = metadata if isinstance(metadata, bytes) else metadata.to_bytes()
    version = Metadata.from_bytes(data).signed.version
    if role != Root.type:
        connection.execute(delete(schema.trust_metadata).where(_ROW.role == role))
    connection.execute(
        insert(schema.trust_metadata).values(
            role=role, version=version, data=data, created_at=now_ms()
        )
    )
