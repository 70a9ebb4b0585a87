"""The client workflow of The Update Framework: decisions only, no input or output.

Metadata is verified in the order root, timestamp, snapshot, targets, delegated targets, each by
what was verified before it. `TrustedMetadataSet` of python-tuf verifies; this module decides what
is asked for next and what is kept. What was verified is kept even if a later part fails, so that a
rollback of it is noticed.

Time only rises: it is the given one, or when the timestamp was signed if that is later. A root
that replaces all keys of the timestamp resets it: a stolen key cannot keep a false time alive.
"""

from collections.abc import Callable, Mapping
from datetime import datetime

from tuf.api.exceptions import (
    EqualVersionNumberError,
    ExpiredMetadataError,
    RepositoryError,
)
from tuf.api.metadata import Metadata, Root, Snapshot, TargetFile, Targets, Timestamp
from tuf.ngclient._internal.trusted_metadata_set import TrustedMetadataSet
from tuf.ngclient.config import EnvelopeType

from gnomon.runtime.errors import ExpiredMetadata, UntrustedMetadata
from gnomon.runtime.trust import content

#: Returns metadata of a role, of a version or (None) the newest; None if it is not there.
Fetch = Callable[[str, int | None], bytes | None]

#: The most bytes of metadata that are read, by role; delegated roles as targets.
LIMITS = {"root": 512_000, "timestamp": 16_384, "snapshot": 2_000_000, "targets": 5_000_000}
#: The most root rotations that are followed at once, and the most delegations looked through.
MAXIMUM_ROTATIONS = 256
MAXIMUM_DELEGATIONS = 32


class Updater:
    """Follows one repository from a trusted root; one `refresh` each, then any `find_target`.

    `known` is what has been verified, bytes by role; older roots are there as `N.root`.
    """

    def __init__(self, known: Mapping[str, bytes], now: datetime) -> None:
        """Continue from what is known, which has at least a root.

        Args:
            known: as `known` of an earlier updater, or the root alone.
            now: the time that nothing may have expired at.

        Raises:
            UntrustedMetadata: the root is damaged.
        """
        self.known = dict(known)
        with _Translated("root"):
            self._trusted = TrustedMetadataSet(self.known[Root.type], EnvelopeType.METADATA)
        self._trusted.reference_time = now
        self._has_new_clock = False

    @property
    def now(self) -> datetime:
        """Return the time that expiry is compared with: the given one or a later timestamp's."""
        return self._trusted.reference_time

    @property
    def root(self) -> Root:
        """Return the newest verified root."""
        return self._trusted.root

    @property
    def timestamp(self) -> Timestamp:
        """Return the newest verified timestamp."""
        return self._trusted.timestamp

    @property
    def expires(self) -> datetime:
        """Return when the first of the top-level roles expires; after `refresh`."""
        signed = (self.root, self.timestamp, self._trusted.snapshot, self.targets)
        return min(one.expires for one in signed)

    @property
    def targets(self) -> Targets:
        """Return the verified top-level targets; after `refresh`."""
        return self._trusted.targets

    def refresh(self, fetch: Fetch) -> None:
        """Verify the newest metadata of the top-level roles.

        Raises:
            ExpiredMetadata: the newest metadata has expired.
            UntrustedMetadata: something does not verify, is older than what is known, is too large,
                or is missing; the message names the role.
        """
        self._update_root(fetch)
        self._update_timestamp(fetch)
        self._update_snapshot(fetch)
        self._update_targets(Targets.type, Root.type, fetch)

    def load_delegations(self, fetch: Fetch) -> list[str]:
        """Verify the metadata of all delegated roles that the snapshot names; return what failed.

        What fails is missing for its own targets only.
        """
        waiting, seen, failures = [Targets.type], set[str](), list[str]()
        while waiting and len(seen) <= MAXIMUM_DELEGATIONS:
            delegator = waiting.pop()
            seen.add(delegator)
            delegations = self._trusted[delegator].delegations  # type: ignore[attr-defined]
            for name in delegations.roles or () if delegations else ():
                if name in seen or f"{name}.json" not in self._trusted.snapshot.meta:
                    continue
                try:
                    self._update_targets(name, delegator, fetch)
                    waiting.append(name)
                except UntrustedMetadata as error:
                    failures.append(str(error))
        return failures

    def find_target(self, path: str, fetch: Fetch) -> TargetFile | None:
        """Return the target of a path, looked up through the delegations; None if no role has it.

        Raises:
            UntrustedMetadata: the metadata of a delegated role does not verify or is missing.
        """
        waiting, seen = [(Targets.type, Root.type)], set[str]()
        while waiting and len(seen) <= MAXIMUM_DELEGATIONS:
            role, delegator = waiting.pop()
            if role in seen:
                continue
            targets = self._update_targets(role, delegator, fetch)
            if path in targets.targets:
                return targets.targets[path]
            seen.add(role)
            if targets.delegations is None:
                continue
            found = []
            for name, is_terminating in targets.delegations.get_roles_for_target(path):
                found.append((name, role))
                if is_terminating:
                    waiting.clear()
                    break
            waiting += reversed(found)
        return None

    def _update_root(self, fetch: Fetch) -> None:
        for _ in range(MAXIMUM_ROTATIONS):
            version = self.root.version + 1
            data = fetch(Root.type, version)
            if data is None:
                return
            before = set(self.root.roles[Timestamp.type].keyids)
            with _Translated(Root.type):
                self._trusted.update_root(_bounded(Root.type, data))
            self._has_new_clock |= before.isdisjoint(self.root.roles[Timestamp.type].keyids)
            self.known[f"{version - 1}.{Root.type}"] = self.known[Root.type]
            self.known[Root.type] = data

    def _update_timestamp(self, fetch: Fetch) -> None:
        kept = self.known.get(Timestamp.type)
        if kept is not None:
            # It may have expired, or its key may have been replaced; then a newer one is needed.
            _try(self._trusted.update_timestamp, kept)
        data = _required(fetch, Timestamp.type, None)
        if self._has_new_clock:
            self._trusted.reference_time = self._signed_at(data) or self.now
        with _Translated(Timestamp.type):
            try:
                self._trusted.update_timestamp(data)
            except EqualVersionNumberError:
                return
        self.known[Timestamp.type] = data
        at = content.signed_at(self.timestamp)
        if at is not None:
            self._trusted.reference_time = max(self.now, at)

    def _signed_at(self, data: bytes) -> datetime | None:
        """Return when a timestamp says that it was signed, if it is signed by the root's key."""
        with _Translated(Timestamp.type):
            timestamp = Metadata[Timestamp].from_bytes(data)
            self.root.verify_delegate(Timestamp.type, timestamp.signed_bytes, timestamp.signatures)
        return content.signed_at(timestamp.signed)

    def _update_snapshot(self, fetch: Fetch) -> None:
        kept = self.known.get(Snapshot.type)
        if kept is not None and _try(self._trusted.update_snapshot, kept, trusted=True):
            return
        meta = self.timestamp.snapshot_meta
        data = _required(fetch, Snapshot.type, self._version(meta.version), meta.length)
        with _Translated(Snapshot.type):
            self._trusted.update_snapshot(data)
        self.known[Snapshot.type] = data

    def _update_targets(self, role: str, delegator: str, fetch: Fetch) -> Targets:
        if self._trusted.contains(role, delegator):
            return self._trusted[role]  # type: ignore[return-value]
        kept = self.known.get(role)
        if kept is not None and _try(self._trusted.update_delegated_targets, kept, role, delegator):
            return self._trusted[role]  # type: ignore[return-value]
        meta = self._trusted.snapshot.meta.get(f"{role}.json")
        if meta is None:
            raise UntrustedMetadata(f"the snapshot names no metadata of the role {role!r}")
        data = _required(fetch, role, self._version(meta.version), meta.length)
        with _Translated(role):
            targets = self._trusted.update_delegated_targets(data, role, delegator)
        self.known[role] = data
        return targets

    def _version(self, version: int) -> int | None:
        return version if self.root.consistent_snapshot else None


class _Translated:
    """Turns python-tuf's errors into our own, which name the role."""

    def __init__(self, role: str) -> None:
        self._role = role

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, ExpiredMetadataError):
            raise ExpiredMetadata(f"signed metadata, {self._role}: {error}") from error
        if isinstance(error, RepositoryError | ValueError):
            raise UntrustedMetadata(f"signed metadata, {self._role}: {error}") from error


def _try(update: Callable[..., object], *arguments: object, **options: object) -> bool:
    """Load what was verified before; return whether it is still valid."""
    try:
        update(*arguments, **options)
    except (RepositoryError, ValueError):
        return False
    return True


def _required(fetch: Fetch, role: str, version: int | None, length: int | None = None) -> bytes:
    data = fetch(role, version)
    if data is None:
        raise UntrustedMetadata(f"signed metadata, {role}: it is missing")
    return _bounded(role, data, length)


def _bounded(role: str, data: bytes, length: int | None = None) -> bytes:
    limit = length or LIMITS.get(role, LIMITS["targets"])
    if len(data) > limit:
        raise UntrustedMetadata(
            f"signed metadata, {role}: it has {len(data)} bytes; at most {limit} are read"
        )
    return data
