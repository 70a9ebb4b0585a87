"""Watches the hub's audit chain: what was signed once must stay in it.

The hub sends the signed head of its chain with each call, and the hash of the record that this node
knew as the head before. Within one epoch, a chain that is shorter than before, or that has another
record there, was rewritten: that is a finding, which stays. A newer epoch means that the hub was
restored from a backup, and other signing keys that it was rebuilt; both are named, since only
people know whether that was done. A chain that continues is not named.

What changed is written at most every hour, a finding at once: the file is on a device's flash.
"""

import logging
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from tuf.api.metadata import Targets

from gnomon.proto import hub_pb2
from gnomon.runtime.audit_chain import ChainHead
from gnomon.runtime.decoding import UNDECODABLE
from gnomon.runtime.errors import InvalidInput, StorageError
from gnomon.runtime.state_file import StateFile, unseal
from gnomon.runtime.trust.audit_head import verify_head

_log = logging.getLogger(__name__)

#: How many findings are kept, and how many heads that the chain should have besides the newest.
_KEPT = 16
_SAVED_SECONDS = 3_600


class AuditWatchState(msgspec.Struct, frozen=True, kw_only=True):
    """The newest head with its signature, heads that contradict later ones, and what was found."""

    latest: ChainHead | None = None
    signed: bytes = b""  # the `SignedAuditHead` of `latest`
    signers: tuple[str, ...] = ()
    former: tuple[ChainHead, ...] = ()
    findings: tuple[str, ...] = ()


def decode_watch_state(data: bytes) -> AuditWatchState:
    """Return the state of a file; raises what msgspec raises if it is damaged."""
    return msgspec.json.decode(data, type=AuditWatchState)


def read_heads(path: Path) -> list[ChainHead]:
    """Return the heads that a chain should have, from a node's file: those of the newest epoch.

    Raises:
        InvalidInput: it is no such file, or is damaged.
    """
    try:
        state = decode_watch_state(unseal(path.read_bytes()))
    except (OSError, ValueError, *UNDECODABLE) as error:
        raise InvalidInput(f"{path} is no audit.json of a node: {error}") from error
    if state.latest is None:
        return []
    return [one for one in (*state.former, state.latest) if one.epoch == state.latest.epoch]


class AuditWatch:
    """What a node knows of its hub's audit chain; for the thread that calls the hub."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Read what was known before.

        Args:
            folder: the node's data folder.
            clock: seconds that only rise.
        """
        self._file = StateFile(folder / "audit.json", decode_watch_state)
        self._clock = clock
        self._saved_at: float | None = None
        self.state = self._file.read() or AuditWatchState()

    @property
    def damage(self) -> str:
        """What was wrong with the file when it was read; empty: nothing."""
        return self._file.damage

    def write_into(self, request: hub_pb2.ExchangeRequest) -> None:
        """Ask the hub for the record that this node knows as the newest."""
        if self.state.latest is not None:
            request.audit_sequence = self.state.latest.sequence

    def take(self, response: hub_pb2.ExchangeResponse, targets: Targets) -> None:
        """Compare the hub's chain with what is known of it.

        Args:
            response: the hub's answer.
            targets: the verified top-level targets.

        Raises:
            UntrustedMetadata: the head is not signed as the targets say.
        """
        if not response.HasField("audit_head"):
            if self.state.latest is not None:
                self._keep(self.state.latest, "the hub no longer sends the head of its audit chain")
            return
        signed = response.audit_head.SerializeToString()
        if signed == self.state.signed:
            return  # verified before; a signature costs milliseconds on a small device
        head = verify_head(response.audit_head, targets)
        signers = tuple(sorted(one.key_id for one in response.audit_head.signatures))
        finding = self._compare(head, signers, response.audit_known_hash)
        self._keep(head, finding, signed, signers)

    def _compare(self, head: ChainHead, signers: tuple[str, ...], known: str) -> str:
        """Return what is wrong with a chain of this head; empty if nothing is.

        Args:
            head: of the chain now.
            signers: ids of the keys that signed it.
            known: the hash that the hub's chain has at the latest head that is known here.
        """
        latest, sequence = self.state.latest, head.sequence
        if latest is None:
            return ""
        found = head.hash if sequence == latest.sequence else known
        if sequence >= latest.sequence and found == latest.hash and head.epoch >= latest.epoch:
            return ""
        if not set(signers) & set(self.state.signers):
            return f"a hub with other keys has another audit chain: {head}, {latest} before"
        if head.epoch > latest.epoch:
            return f"the hub was restored from a backup: its audit chain is {head}, {latest} before"
        if head.epoch < latest.epoch or sequence < latest.sequence:
            return f"the hub's audit chain went back to {head}, from {latest}"
        return f"the hub's audit chain was rewritten: record {latest} is now {found[:16]!r}"

    def _keep(
        self,
        head: ChainHead,
        finding: str = "",
        signed: bytes | None = None,
        signers: tuple[str, ...] | None = None,
    ) -> None:
        before = self.state
        is_new = bool(finding) and finding not in before.findings
        former = before.former
        if is_new and before.latest is not None and before.latest != head:
            former = (*former, before.latest)[-_KEPT:]
        self.state = AuditWatchState(
            latest=head,
            signed=before.signed if signed is None else signed,
            signers=before.signers if signers is None else signers,
            former=former,
            findings=(*before.findings, finding)[-_KEPT:] if is_new else before.findings,
        )
        if is_new:
            _log.error("%s", finding)
        if is_new or self._saved_at is None or self._clock() - self._saved_at >= _SAVED_SECONDS:
            self._save()

    def _save(self) -> None:
        """Write the state; a disk that is full stops no installation, and is written later."""
        try:
            self._file.write(msgspec.json.encode(self.state))
        except StorageError as error:
            _log.warning("%s", error)
        else:
            self._saved_at = self._clock()
