"""The hub's signed metadata, as nodes and people meet it.

Every change of what metadata states is audited, so what was signed is kept in memory until the
audit chain grows or the timestamp is due.
"""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import structlog
from securesystemslib.signer import CryptoSigner
from sqlalchemy import Connection
from tuf.api.metadata import Root, Snapshot, Targets, Timestamp

from gnomon.proto import hub_pb2
from gnomon.runtime.audit_chain import ChainHead
from gnomon.runtime.errors import ConfigurationError, GnomonError
from gnomon.runtime.limits import MAXIMUM_GENERATION
from gnomon.runtime.trust import content
from gnomon.runtime.trust.audit_head import sign_head
from gnomon.runtime.trust.content import DESIRED
from gnomon.runtime.trust.signed_state import sign_state
from gnomon.server.hub.access import keys as package_keys
from gnomon.server.hub.epoch_file import read_epoch, write_epoch
from gnomon.server.hub.store import audit, counters
from gnomon.server.hub.store.change import Change
from gnomon.server.hub.store.clock import now_ms
from gnomon.server.hub.store.database import Database
from gnomon.server.hub.trust import adopting, stored
from gnomon.server.hub.trust.adopting import SignedFile
from gnomon.server.hub.trust.proved_states import find_proved
from gnomon.server.hub.trust.signing import RESIGN_MS, MetadataSigner
from gnomon.server.hub.trust.signing_keys import SigningKeys
from gnomon.server.hub.trust.stored import MetadataSet

_log = structlog.get_logger(__name__)

#: The largest version of a node's report that is followed, so that no node can use them up.
_FOLLOWED = MAXIMUM_GENERATION >> 1
_EXPIRY_WARNING_DAYS = 30
#: The most files of metadata that one node may send at once.
_FILES = 64


@dataclass(frozen=True, slots=True)
class RoleRecord:
    """A role's newest metadata; `expires_at` in Unix ms, `keys` the ids of those that sign it."""

    role: str
    version: int
    expires_at: int
    keys: list[str]


@dataclass(frozen=True, slots=True)
class TrustRecord:
    """What the metadata states: the mode, the keys of packages (hex), and each role.

    `limited_keys` has the pattern of the models that a key signs for.
    """

    mode: str
    package_keys: list[str]
    listed_packages_only: bool
    roles: list[RoleRecord]
    limited_keys: dict[str, str]


@dataclass(frozen=True, slots=True)
class OnlineKey:
    """A public key of this hub for a role, as the framework writes keys."""

    role: str
    key_id: str
    key: dict[str, Any]


class TrustRepository:
    """Makes, signs, offers and takes metadata. Safe to share between threads."""

    def __init__(self, database: Database, keys: SigningKeys) -> None:
        """Make the first metadata at the first start.

        Raises:
            ConfigurationError: the root names keys that this hub does not hold.
            StorageError: metadata or the file of the epoch are damaged.
        """
        self._database = database
        self._keys = keys
        self._lock = threading.Lock()
        self._decided = -1
        self._epoch = read_epoch(keys.data_folder)
        self._set = self._update({})

    def current(self) -> MetadataSet:
        """Return the newest metadata, signed again if it is due."""
        with self._database.read() as connection:
            is_current = self.is_current(connection)
        return self._set if is_current else self._update({})

    def is_current(self, connection: Connection) -> bool:
        """Return whether nothing has been decided since the metadata was signed, and it is new."""
        age = now_ms() - self._set.others[Timestamp.type].created_at
        if not 0 <= age < RESIGN_MS:
            return False
        return counters.read(connection, counters.AUDIT) == self._decided

    def offer(self, request: hub_pb2.ExchangeRequest, response: hub_pb2.ExchangeResponse) -> None:
        """Write into an answer what differs from the node's metadata, and what this hub lacks."""
        current, versions = self._set, request.metadata_versions
        seen = {
            role: versions[role]
            for role in (Snapshot.type, Timestamp.type)
            if current.versions[role] < versions.get(role, 0) <= _FOLLOWED
        }
        if seen:
            _log.warning("metadata_behind_node", versions=seen)
            current = self._update(seen)
        response.metadata.extend(_offer(current, versions))
        self._offer_head(request, response)
        response.wanted_metadata.extend(
            role
            for role in (Root.type, *sorted(set(versions) - {Root.type}))
            if role not in (Snapshot.type, Timestamp.type)
            and versions.get(role, 0) > current.versions.get(role, 0)
        )

    def _offer_head(
        self, request: hub_pb2.ExchangeRequest, response: hub_pb2.ExchangeResponse
    ) -> None:
        """Write the signed head of the audit chain, and what became of the head that a node has."""
        head, signed = self._head
        if signed is None:
            return
        response.audit_head.CopyFrom(signed)
        if request.audit_sequence == head.sequence:
            response.audit_known_hash = head.hash
        elif 0 < request.audit_sequence < head.sequence:
            with self._database.read() as connection:
                response.audit_known_hash = audit.hash_at(connection, request.audit_sequence)

    def sign(self, state: hub_pb2.DesiredState) -> hub_pb2.SignedState:
        """Return a desired state, signed by the key that it is delegated to."""
        if self._state_signer is None:
            raise ConfigurationError(
                "the targets metadata delegates desired states to no key that this hub holds"
            )
        return sign_state(state, self._state_signer)

    def import_metadata(self, change: Change, files: Iterable[SignedFile]) -> dict[str, int]:
        """Take metadata that was signed elsewhere; return the versions that are stored then.

        In simple mode this hub signs a new root too, so that an operator can take its keys over.

        Args:
            change: of the caller.
            files: roots, targets or delegated targets, in any order.

        Raises:
            InvalidInput: one is not signed as the root says, or is not the next version.
            ConfigurationError: the new root names keys for this hub that it does not hold.
        """
        taken = adopting.adopt(change.connection, files, self._keys)
        change.audit("import_metadata", ",".join(sorted(taken)) or "nothing", taken)
        return (
            self._signer(change.connection)
            .update(package_keys.trusted(change.connection), {})
            .versions
        )

    def rotate(self, change: Change) -> dict[str, int]:
        """Replace all keys, which this hub must hold; return the versions that are stored then.

        Raises:
            InvalidInput: the keys of the root are held by the operator.
        """
        signer = self._signer(change.connection)
        signer.rotate()
        change.audit("rotate_keys", "all")
        return signer.update(package_keys.trusted(change.connection), {}).versions

    def make_online_keys(self, change: Change) -> list[OnlineKey]:
        """Make keys for what a hub signs in offline mode; they count once a root names them."""
        change.audit("rotate_keys", "online")
        signers = {role: self._keys.make() for role in (Snapshot.type, Timestamp.type, DESIRED)}
        return [
            OnlineKey(role, signer.public_key.keyid, signer.public_key.to_dict())
            for role, signer in signers.items()
        ]

    def describe(self) -> TrustRecord:
        """Return what this hub's metadata states."""
        current = self.current()
        statement = content.targets_statement(current.targets)
        return TrustRecord(
            mode=content.root_statement(current.root).mode.value,
            package_keys=list(statement.package_keys),
            listed_packages_only=statement.listed_packages_only,
            limited_keys=dict(statement.limited_keys),
            roles=[
                RoleRecord(
                    role=one.role,
                    version=one.version,
                    expires_at=int(one.metadata.signed.expires.timestamp() * 1_000),
                    keys=_keys_of(current, one.role),
                )
                for one in (current.roots[-1], *current.others.values())
            ],
        )

    def take(self, request: hub_pb2.ExchangeRequest) -> None:
        """Take metadata back from a node, after this hub has forgotten it; verified."""
        if not request.metadata:
            return
        files = [SignedFile(one.role, one.data) for one in request.metadata[:_FILES]]
        try:
            with self._database.change("hub") as change:
                taken = adopting.adopt(change.connection, files)
                if taken:
                    root = stored.load(change.connection).root
                    if self._signer(change.connection).holds(root, Targets.type):
                        adopting.follow_keys(change)
                    change.audit("import_metadata", ",".join(sorted(taken)), taken)
        except GnomonError as error:
            _log.warning("metadata_of_node_refused", error=str(error))

    def find_proved(self, name: str, request: hub_pb2.ExchangeRequest) -> list[str]:
        """Return the digests that a node's signed states show to have been assigned to it."""
        return find_proved(self._set.targets, name, request.known_states)

    def _update(self, least: Mapping[str, int]) -> MetadataSet:
        # In the order of the transactions: a head that is older than the last would be an alarm.
        with self._lock:
            with self._database.write() as connection:
                keys = package_keys.trusted(connection)
                found = self._signer(connection).update(keys, dict(least))
                head = self._with_own_epoch(audit.head(connection))
            self._state_signer = signer = self._find_state_signer(found)
            self._head = (head, None if signer is None else sign_head(head, signer))
            self._set, self._decided = found, head.sequence
        _warn_of_expiry(found)
        return found

    def _with_own_epoch(self, head: ChainHead) -> ChainHead:
        """Return a head of the database with the epoch that this hub knows from outside of it."""
        if self._epoch is None:
            write_epoch(self._keys.data_folder, head.epoch)
            self._epoch = head.epoch
        if head.epoch != self._epoch:
            _log.error("epoch_not_begun_here", database=head.epoch, known=self._epoch)
        return replace(head, epoch=self._epoch)

    def _find_state_signer(self, found: MetadataSet) -> CryptoSigner | None:
        delegations = found.targets.delegations
        roles = delegations.roles if delegations is not None else None
        role = (roles or {}).get(content.DESIRED)
        return next(iter(self._keys.find(role.keyids if role else ())), None)

    def _signer(self, connection: Connection) -> MetadataSigner:
        return MetadataSigner(connection, self._keys)


def _keys_of(current: MetadataSet, role: str) -> list[str]:
    if role in current.root.roles:
        return list(current.root.roles[role].keyids)
    delegations = current.targets.delegations
    roles = delegations.roles if delegations is not None else None
    return list(roles[role].keyids) if roles and role in roles else []


def _warn_of_expiry(found: MetadataSet) -> None:
    """Log what an operator has to renew soon; what the hub signs, it renews in time."""
    for role, signed in ((Root.type, found.root), (Targets.type, found.targets)):
        left = signed.expires - datetime.now(UTC)
        if left.days < _EXPIRY_WARNING_DAYS:
            _log.warning("metadata_expires", role=role, days=left.days)


def _offer(current: MetadataSet, versions: Mapping[str, int]) -> list[hub_pb2.Metadata]:
    """Return what differs from a node's; of the roots all that it lacks, if it has one.

    After its keys were replaced, a role may begin again with lower versions.
    """
    known = versions.get(Root.type, 0)
    roots = [one for one in current.roots if one.version > known] if known else current.roots[-1:]
    others = [one for role, one in current.others.items() if one.version != versions.get(role, 0)]
    return [
        hub_pb2.Metadata(role=one.role, version=one.version, data=one.data)
        for one in (*roots, *others)
    ]
