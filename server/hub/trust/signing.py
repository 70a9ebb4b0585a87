"""Makes and signs the metadata that a hub holds the keys of.

Targets and root are signed again if what they state has changed or half of their life is over, the
snapshot if it names older versions, the timestamp at least every hour. Signed time never goes back,
and goes ahead by at most 30 days at once: a hub whose clock was wrong for a moment cannot make its
nodes believe in a far future.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from securesystemslib.signer import CryptoSigner
from sqlalchemy import Connection
from tuf.api.metadata import (
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    Targets,
    Timestamp,
)

from gnomon.runtime.errors import ConfigurationError, InvalidInput
from gnomon.runtime.packages.package_keys import PackageKey
from gnomon.runtime.trust import content
from gnomon.runtime.trust.content import (
    DESIRED,
    Mode,
    RootStatement,
    TargetsStatement,
    TimestampStatement,
)
from gnomon.server.hub.backup import TRUST
from gnomon.server.hub.store.clock import DAY_MS, now_ms
from gnomon.server.hub.trust import stored
from gnomon.server.hub.trust.signing_keys import SigningKeys
from gnomon.server.hub.trust.stored import MetadataSet, StoredMetadata

#: Days until metadata expires.
LIFE_DAYS = {Root.type: 365, Targets.type: 365, Snapshot.type: 30, Timestamp.type: 3}
#: How old the newest timestamp may get.
RESIGN_MS = 3_600_000
_LARGEST_STEP_MS = 30 * DAY_MS

_Role = TypeVar("_Role", Snapshot, Timestamp)


def make_first(connection: Connection, keys: SigningKeys) -> None:
    """Make the first root and targets, in simple mode."""
    at = datetime.fromtimestamp(now_ms() // 1_000, UTC)
    root = Root(expires=_expiry(Root.type, at), consistent_snapshot=True)
    root.unrecognized_fields.update(content.fields(RootStatement(mode=Mode.SIMPLE)))
    for role in content.TOP_LEVEL:
        root.add_key(keys.first(role).public_key, role)
    _sign(connection, Root.type, Metadata(root), [keys.first(Root.type)])
    targets = Targets(expires=_expiry(Targets.type, at))
    targets.delegations = content.with_desired_key(keys.first(DESIRED).public_key)
    targets.unrecognized_fields.update(content.fields(TargetsStatement()))
    _sign(connection, Targets.type, Metadata(targets), [keys.first(Targets.type)])


@dataclass(frozen=True)
class MetadataSigner:
    """Brings the stored metadata up to date, in one transaction of the caller."""

    connection: Connection
    keys: SigningKeys

    def update(self, package_keys: Iterable[PackageKey], least: dict[str, int]) -> MetadataSet:
        """Sign what is due; return what is stored then.

        Args:
            package_keys: that the hub trusts now; stated in simple mode.
            least: versions that nodes have seen of snapshot and timestamp; newer ones are made.

        Raises:
            ConfigurationError: this hub does not hold a key that it should.
            StorageError: root or targets are missing, or something is damaged.
        """
        found = stored.load(self.connection)
        # Nodes would refuse new metadata in place of what was lost.
        if found.is_empty:
            make_first(self.connection, self.keys)
            found = stored.load(self.connection)
        at = _signed_time(found.others.get(Timestamp.type))
        self._update_root(found, at)
        self._update_targets(found, at, tuple(package_keys))
        self._update_snapshot(stored.load(self.connection), at, least)
        self._update_timestamp(stored.load(self.connection), at, least)
        return stored.load(self.connection)

    def holds(self, root: Root, role: str) -> bool:
        """Return whether this hub can sign a role alone."""
        return len(self.keys.find(root.roles[role].keyids)) >= root.roles[role].threshold

    def rotate(self) -> None:
        """Replace all keys by new ones, signed by those before.

        Raises:
            InvalidInput: this hub does not hold the root's keys.
        """
        found = stored.load(self.connection)
        root, targets = found.root, found.targets
        if not self.holds(root, Root.type):
            raise InvalidInput(
                "the keys of the root are held by the operator, who replaces keys offline"
            )
        at = _signed_time(found.others.get(Timestamp.type))
        signers = self.keys.find(root.roles[Root.type].keyids)
        for role in content.TOP_LEVEL:
            for key_id in list(root.roles[role].keyids):
                root.revoke_key(key_id, role)
            signer = self.keys.make()
            root.add_key(signer.public_key, role)
            signers += [signer] if role == Root.type else []
        root.version += 1
        root.expires = _expiry(Root.type, at)
        _sign(self.connection, Root.type, Metadata(root), signers)
        targets.delegations = content.with_desired_key(
            self.keys.make().public_key, targets.delegations
        )
        self._sign_next(root, targets, at)

    def _update_root(self, found: MetadataSet, at: datetime) -> None:
        if _is_due(found.root, at) and self.holds(found.root, Root.type):
            self._sign_next(found.root, found.root, at)

    def _update_targets(
        self, found: MetadataSet, at: datetime, package_keys: tuple[PackageKey, ...]
    ) -> None:
        if not self.holds(found.root, Targets.type):
            return
        targets = found.targets
        statement = content.targets_statement(targets)
        only = statement.listed_packages_only
        wanted = TargetsStatement.of(package_keys, listed_packages_only=only)
        is_stated = statement == wanted
        if not is_stated or _is_due(targets, at) or not found.is_signed(Targets.type):
            targets.unrecognized_fields.update(content.fields(wanted))
            self._sign_next(found.root, targets, at)

    def _update_snapshot(self, found: MetadataSet, at: datetime, least: dict[str, int]) -> None:
        meta = {
            f"{role}.json": MetaFile(one.version)
            for role, one in found.others.items()
            if role not in (Snapshot.type, Timestamp.type)
        }
        before = found.others.get(Snapshot.type)
        snapshot = found.snapshot if before else _unsigned(Snapshot(meta=meta))
        seen = least.get(Snapshot.type, 0)
        is_same = snapshot.meta == meta and seen <= snapshot.version
        if is_same and not _is_due(snapshot, at) and found.is_signed(Snapshot.type):
            return
        snapshot.meta = meta
        snapshot.version = max(snapshot.version, seen)
        self._sign_next(found.root, snapshot, at)

    def _update_timestamp(self, found: MetadataSet, at: datetime, least: dict[str, int]) -> None:
        before = found.others.get(Timestamp.type)
        meta = MetaFile(found.others[Snapshot.type].version)
        timestamp = found.timestamp if before else _unsigned(Timestamp(snapshot_meta=meta))
        seen = least.get(Timestamp.type, 0)
        is_same = timestamp.snapshot_meta == meta and seen <= timestamp.version
        is_fresh = before is not None and 0 <= now_ms() - before.created_at < RESIGN_MS
        if is_same and is_fresh and found.is_signed(Timestamp.type):
            return
        timestamp.snapshot_meta = meta
        timestamp.version = max(timestamp.version, seen)
        signed_at = int(at.timestamp() * 1_000)
        timestamp.unrecognized_fields.update(content.fields(TimestampStatement(signed_at)))
        self._sign_next(found.root, timestamp, at)

    def _sign_next(self, root: Root, signed: Any, at: datetime) -> None:
        if not self.holds(root, signed.type):
            raise ConfigurationError(
                f"this hub does not hold the key of {signed.type} that the root names; copy the "
                f"folder {TRUST!r} and the authority from the hub that made it"
            )
        signed.version += 1
        signed.expires = _expiry(signed.type, at)
        signers = self.keys.find(root.roles[signed.type].keyids)
        _sign(self.connection, signed.type, Metadata(signed), signers)


def _sign(
    connection: Connection, role: str, metadata: Metadata[Any], signers: Iterable[CryptoSigner]
) -> None:
    for signer in signers:
        metadata.sign(signer, append=True)
    stored.store(connection, role, metadata)


def _unsigned(signed: _Role) -> _Role:
    """Return metadata of which no version has been signed yet."""
    signed.version = 0
    return signed


def _expiry(role: str, at: datetime) -> datetime:
    return at + timedelta(days=LIFE_DAYS[role])


def _is_due(signed: Any, at: datetime) -> bool:
    return bool(at >= signed.expires - timedelta(days=LIFE_DAYS[signed.type] / 2))


def _signed_time(before: StoredMetadata | None) -> datetime:
    """Return the time to sign with: the hub's, but never before what was signed."""
    now = now_ms()
    if before is not None:
        signed = content.signed_at(before.metadata.signed)
        last = int(signed.timestamp() * 1_000) if signed else before.created_at
        passed = min(max(0, now - before.created_at), _LARGEST_STEP_MS)
        now = min(now, last + _LARGEST_STEP_MS) if now >= last else last + passed
    return datetime.fromtimestamp(now // 1_000, UTC)
