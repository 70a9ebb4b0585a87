"""What the doctor says of the signed metadata that nodes trust. Changes nothing."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from sqlalchemy import Connection
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Root, Snapshot, Targets, Timestamp

from gnomon.runtime.errors import GnomonError, StorageError
from gnomon.runtime.trust.content import DESIRED, TOP_LEVEL
from gnomon.server.hub.access.authority import Authority
from gnomon.server.hub.doctor import Finding
from gnomon.server.hub.epoch_file import read_epoch
from gnomon.server.hub.store import counters
from gnomon.server.hub.store.database import Database
from gnomon.server.hub.trust import stored
from gnomon.server.hub.trust.signing import MetadataSigner
from gnomon.server.hub.trust.signing_keys import SigningKeys
from gnomon.server.hub.trust.stored import RESTORE, MetadataSet, StoredMetadata

_CHECK = "signed metadata"
#: What a hub must be able to sign in either mode.
_ONLINE = (Snapshot.type, Timestamp.type)


def check_metadata(database: Database, folder: Path) -> Finding:
    """Check that metadata is complete, readable, signed, in time, and of keys that the hub has.

    Args:
        database: of the hub.
        folder: its data folder, which has the keys.
    """
    with database.read() as connection:
        found = stored.load(connection)
        files = (*found.roots, *found.others.values())
        if not files:
            return Finding(_CHECK, 0, (), "not made yet: the hub makes it at its start")
        faults = list(_damaged(files)) or list(_missing(found)) or list(_unsigned(found))
        if faults:
            return Finding(_CHECK, len(files), tuple(faults))
        try:
            authority = Authority.in_folder(folder, may_make=False, may_repair=False)
            faults, remark = _held(found, connection, SigningKeys(folder, authority))
            faults += _epoch(connection, folder)
        except GnomonError as error:
            return Finding(_CHECK, len(files), (str(error),))
        return Finding(_CHECK, len(files), tuple(faults), remark)


def _damaged(files: tuple[StoredMetadata, ...]) -> Iterator[str]:
    for one in files:
        try:
            signed = one.metadata.signed
        except StorageError as error:
            yield str(error)
            continue
        # Delegated roles are targets too.
        kind = one.role if one.role in TOP_LEVEL else Targets.type
        if (signed.type, signed.version) != (kind, one.version):
            yield (
                f"{one.role} {one.version} holds {signed.type} {signed.version} instead; {RESTORE}"
            )


def _missing(found: MetadataSet) -> Iterator[str]:
    for role in TOP_LEVEL:
        if role not in found.versions:
            yield f"{role} is missing; {RESTORE}"
    for before, after in pairwise(found.roots):
        if after.version != before.version + 1:
            yield f"root {before.version + 1} is missing; {RESTORE}"


def _unsigned(found: MetadataSet) -> Iterator[str]:
    """Name what is not signed by the keys that the roots name, or does not fit together."""
    for before, after in zip((found.roots[0], *found.roots), found.roots, strict=False):
        for keys in (before.metadata.signed, after.metadata.signed):
            if not _is_signed(keys, after):
                yield f"root {after.version} is not signed by the keys of the root before it"
                break
    for role in TOP_LEVEL[1:]:
        if not found.is_signed(role):
            yield f"{role} is not signed by the keys that the newest root names for it"
    if found.timestamp.snapshot_meta.version != found.others[Snapshot.type].version:
        yield "the timestamp names another snapshot"
    for name, entry in found.snapshot.meta.items():
        role = name.removesuffix(".json")
        if role not in found.others or found.others[role].version != entry.version:
            yield f"the snapshot names {role} {entry.version}, which is not here"


def _is_signed(keys: Root, root: StoredMetadata) -> bool:
    try:
        keys.verify_delegate(Root.type, root.metadata.signed_bytes, root.metadata.signatures)
    except RepositoryError:
        return False
    return True


def _held(found: MetadataSet, connection: Connection, keys: SigningKeys) -> tuple[list[str], str]:
    """Return the faults of keys that are not here and of what they cannot renew, and a remark."""
    signer, faults, late = MetadataSigner(connection, keys), [], []
    copy = "copy the folder 'trust' and the authority from the hub that made it"
    for role in TOP_LEVEL:
        held = signer.holds(found.root, role)
        if role in _ONLINE and not held:
            faults.append(f"the data folder has not the key of {role} that the root names; {copy}")
        expires = (found.roots[-1] if role == Root.type else found.others[role]).metadata.signed
        if expires.expires > datetime.now(UTC):
            continue
        if held:
            late.append(role)
        else:
            faults.append(
                f"{role} has expired at {expires.expires:%Y-%m-%d}, so nodes install nothing: sign "
                "it by `gnomon trust sign FOLDER --renew-days 365`, and import it"
            )
    delegations = found.targets.delegations
    desired = (delegations.roles or {}).get(DESIRED) if delegations is not None else None
    if not keys.find(desired.keyids if desired else ()):
        faults.append(f"the data folder has not the key that signs desired states; {copy}")
    remark = f"expired while the hub was stopped, signed at its start: {', '.join(late)}"
    return faults, remark if late else ""


def _epoch(connection: Connection, folder: Path) -> list[str]:
    """Name an epoch that somebody else than a restore of this data folder began."""
    known, found = read_epoch(folder), counters.read(connection, counters.EPOCH)
    if known in (None, found):
        return []
    return [
        f"the database is of epoch {found}, the data folder of {known}: it was not restored by "
        "`gnomon hub restore`; compare the audit chain with several nodes"
    ]
