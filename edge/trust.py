"""What a node trusts: verified metadata, the time that it proves, and whose packages count.

A node takes its first root from a file, or from the hub that it enrolled at; from then on nothing
counts that the metadata does not vouch for. A hub that is older than metadata sends none: as long
as a node has no root, the keys of its enrolment count.

A device's own clock may say anything. So time is the latest that signed metadata has proved, and
what has passed since by the clock that only rises. It is kept in the file of the metadata.
"""

import contextlib
import logging
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from tuf.api.metadata import Metadata, Root, Targets

from gnomon.edge.audit_watch import AuditWatch
from gnomon.edge.listed_packages import check_listed
from gnomon.edge.trust_state import (
    TrustState,
    TrustStatus,
    decode_state,
    keep_state,
    of_version,
    read_root,
)
from gnomon.proto import hub_pb2
from gnomon.runtime.errors import ExpiredMetadata, UntrustedMetadata, UntrustedPackage
from gnomon.runtime.packages.package_keys import PackageKey, limited_keys, unlimited_keys
from gnomon.runtime.packages.signing import TrustStore
from gnomon.runtime.state_file import StateFile
from gnomon.runtime.trust import content
from gnomon.runtime.trust.signed_state import verify_state
from gnomon.runtime.trust.updater import Updater

_log = logging.getLogger(__name__)

#: How many keys are kept that were trusted once; packages in service may be signed by them.
_RETIRED = 64
#: The file is written at least this often while nothing but time passes.
_SAVED_SECONDS = 3_600


class NodeTrust:
    """Follows the hub's metadata; for the thread that calls the hub, `status` for any."""

    def __init__(
        self,
        folder: Path,
        name: str,
        enrolled_keys: Callable[[], tuple[PackageKey, ...]],
        root_file: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read what was verified before.

        Args:
            folder: the node's data folder.
            name: the node's name.
            enrolled_keys: returns the keys of the enrolment, which count without metadata.
            root_file: a root to trust from the start, in place of the hub's first one.
            clock: seconds that only rise.

        Raises:
            ConfigurationError: the root file holds no root.
        """
        self._file = StateFile(folder / "metadata.json", decode_state)
        self._audit = AuditWatch(folder, clock)
        self._name = name
        self._enrolled_keys = enrolled_keys
        self._clock = clock
        self._state = self._file.read() or TrustState()
        self._read_at = self._saved_at = clock()
        self._targets: Targets | None = None
        self._expires: datetime | None = None
        self._updater: Updater | None = None
        self._wanted: tuple[str, ...] = ()
        self._problem = self._file.damage
        self._revoked: tuple[str, ...] = ()
        self._is_new_signer = False
        self._counted: dict[str, bytes] | None = None
        self._known_versions: dict[str, int] = {}
        if root_file is not None and not self._state.known:
            self._state = TrustState(known={Root.type: read_root(root_file)})
        try:
            self._targets = content.verified_targets(self._state.known)
        except UntrustedMetadata as error:
            self._problem = str(error)
            _log.error("%s", error)

    @property
    def damage(self) -> str:
        """What was wrong with the files when they were read; empty: nothing."""
        return "; ".join(filter(None, (self._file.damage, self._audit.damage)))

    @property
    def audit_findings(self) -> tuple[str, ...]:
        """Return what the hub's audit chain was found to have lost or changed."""
        return self._audit.state.findings

    @property
    def keys(self) -> TrustStore:
        """Return the keys that must have signed what is installed now."""
        return TrustStore(self._keys())

    @property
    def former_keys(self) -> TrustStore:
        """Return the keys that may have signed what is in service: also those trusted once."""
        return TrustStore((*self._keys(), *self._state.former_keys))

    @property
    def is_new_signer(self) -> bool:
        """Whether other keys than before sign desired states, so that numbers begin again."""
        return self._is_new_signer

    @property
    def revoked(self) -> tuple[str, ...]:
        """Return which packages in service no key signed that is trusted now."""
        return self._revoked

    @property
    def now(self) -> datetime:
        """Return the latest time that is known to have passed."""
        passed = self._clock() - self._read_at
        return datetime.fromtimestamp(self._state.time_ms / 1_000 + passed, UTC)

    @property
    def status(self) -> TrustStatus:
        """Return what is trusted now."""
        known = self._state.known
        mode = "enrolment"
        if Root.type in known:
            root = Metadata[Root].from_bytes(known[Root.type]).signed
            mode = content.root_statement(root).mode.value
        return TrustStatus(
            mode=mode,
            versions=dict(self._versions()) if known else {},
            expires_at=None if self._expires is None else int(self._expires.timestamp() * 1_000),
            problem=self._problem,
            revoked=self._revoked,
            audit_head=self._audit.state.latest,
            audit_findings=self.audit_findings,
        )

    def write_into(self, request: hub_pb2.ExchangeRequest) -> None:
        """Tell the hub which metadata this node has, and send what it asked for."""
        request.metadata_versions.update(self._versions())
        self._audit.write_into(request)
        for role, data in self._state.known.items():
            name = Root.type if role.endswith(f".{Root.type}") else role
            if name in self._wanted:
                request.metadata.add(role=name, version=content.version_of(data), data=data)

    def take(self, response: hub_pb2.ExchangeResponse) -> hub_pb2.DesiredState:
        """Verify what the hub sent, keep it, and return the desired state.

        Raises:
            ExpiredMetadata: the newest metadata has expired; what is in service stays.
            UntrustedMetadata: the metadata or the desired state does not verify.
            StorageError: it cannot be kept.
        """
        self._wanted = tuple(response.wanted_metadata)
        if not self._state.known and not response.metadata:
            return response.desired
        try:
            if response.metadata or self._problem or self._is_stale():
                self._refresh(response)
            state, targets = self._verified_state(response.signed)
            self._audit.take(response, targets)
        except UntrustedMetadata as error:
            self._problem = str(error)
            raise
        self._problem = ""
        states = keep_state(self._state.states, response.signed)
        if states != self._state.states:
            self._save(states=states)
        return state

    @property
    def known_states(self) -> list[hub_pb2.SignedState]:
        """Return the signed desired states that prove what was assigned to this node."""
        return [hub_pb2.SignedState.FromString(one) for one in self._state.states]

    def accept_signer(self) -> None:
        """Keep that the desired state of a new signer was taken; raises `StorageError`."""
        if self._is_new_signer:
            self._save(signers=self._signers())
            self._is_new_signer = False

    def check(self, packages: Iterable[hub_pb2.PackageRef], in_service: Iterable[str]) -> None:
        """Check that packages may be installed; those in service (digests) stay.

        Raises:
            ExpiredMetadata: the metadata has expired since.
            UntrustedPackage: one is signed by no key that is trusted now, or is not listed.
        """
        if self._targets is not None and self._is_stale():
            raise ExpiredMetadata(f"the signed metadata expired at {self._expires}")
        keys, present = self.keys, frozenset(in_service)
        for package in packages:
            if package.digest in present:
                continue
            keys.verify(package.digest, package.envelopes, package.name)
            if self._updater is not None:
                check_listed(self._updater, package)

    def note_in_service(self, packages: Iterable[hub_pb2.PackageRef]) -> tuple[str, ...]:
        """Return, and keep for the status, which packages no key signed that is trusted now."""
        keys, found = self.keys, []
        for package in packages:
            try:
                keys.verify(package.digest, package.envelopes, package.name)
            except UntrustedPackage:
                found.append(f"{package.name}@{package.version}")
        self._revoked = tuple(found)
        return self._revoked

    def _refresh(self, response: hub_pb2.ExchangeResponse) -> None:
        offered = {(one.role, one.version): one.data for one in response.metadata}
        known = dict(self._state.known)
        if not known:
            newest = max((key for key in offered if key[0] == Root.type), default=None)
            if newest is None:
                raise UntrustedMetadata("the hub sent signed metadata without a root")
            known[Root.type] = offered[newest]

        def fetch(role: str, version: int | None) -> bytes | None:
            if version is not None:
                return offered.get((role, version)) or of_version(known.get(role), version)
            newest = max((key for key in offered if key[0] == role), default=None)
            return known.get(role) if newest is None else offered[newest]

        updater = Updater(known, self.now)
        self._updater = self._expires = None
        try:
            updater.refresh(fetch)
            for failure in updater.load_delegations(fetch):
                _log.warning("%s", failure)
            self._updater, self._expires = updater, updater.expires
        finally:
            self._adopt(updater)

    def _adopt(self, updater: Updater) -> None:
        """Keep all that was verified, also if a later part was not."""
        state, before = self._state, self._keys()
        is_new = updater.known != state.known
        if Targets.type in updater.known:
            # A root that names new keys may have come without what they sign.
            with contextlib.suppress(UntrustedMetadata):
                self._targets = content.verified_targets(updater.known)
        former = dict.fromkeys((*state.former_keys, *before))
        retired = [key for key in former if key not in self._keys()][-_RETIRED:]
        elapsed = self._clock() - self._saved_at
        if is_new or elapsed >= _SAVED_SECONDS:
            now = int(updater.now.timestamp() * 1_000)
            self._save(
                known=updater.known,
                time_ms=now,
                retired=tuple(unlimited_keys(retired)),
                retired_limited=tuple(limited_keys(retired)),
                signers=state.signers or self._signers(),
            )

    def _save(self, **changes: object) -> None:
        state = msgspec.structs.replace(self._state, **changes)
        self._file.write(msgspec.json.encode(state))
        if "time_ms" in changes:
            self._read_at = self._saved_at = self._clock()
        self._state = state

    def _verified_state(self, signed: hub_pb2.SignedState) -> tuple[hub_pb2.DesiredState, Targets]:
        if self._targets is None:
            raise UntrustedMetadata("the hub sent no targets that its root vouches for")
        state = verify_state(signed, self._targets, self._name)
        self._is_new_signer = not set(self._signers()) & set(self._state.signers)
        return state, self._targets

    def _signers(self) -> tuple[str, ...]:
        targets = self._targets
        if targets is None or targets.delegations is None or targets.delegations.roles is None:
            return ()
        role = targets.delegations.roles.get(content.DESIRED)
        return () if role is None else tuple(role.keyids)

    def _is_stale(self) -> bool:
        return self._expires is None or self.now >= self._expires

    def _keys(self) -> tuple[PackageKey, ...]:
        if self._targets is None:
            return () if Targets.type in self._state.known else self._enrolled_keys()
        return content.targets_statement(self._targets).keys

    def _versions(self) -> dict[str, int]:
        known = self._state.known
        if self._counted is not known:  # decoding costs milliseconds on a small device
            self._counted = known
            self._known_versions = {Root.type: 0} | {
                role: content.version_of(data)
                for role, data in known.items()
                if not role.endswith(".root")
            }
        return self._known_versions
