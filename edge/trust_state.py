"""What a node keeps of the metadata that it verified, and what it says of it."""

from dataclasses import dataclass
from pathlib import Path

import msgspec
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root

from gnomon.proto import hub_pb2
from gnomon.runtime.audit_chain import ChainHead
from gnomon.runtime.errors import ConfigurationError
from gnomon.runtime.packages.package_keys import PackageKey
from gnomon.runtime.trust import content

#: How many signed desired states are kept, to be shown to a hub that forgot them.
_STATES = 16


class TrustState(msgspec.Struct, frozen=True, kw_only=True):
    """Verified metadata by role, the time it proves, keys trusted once, and who signs states.

    `retired` signed packages of all models, `retired_limited` those of their patterns. `states` are
    signed desired states as they came, with different packages, the newest last.
    """

    known: dict[str, bytes] = {}
    time_ms: int = 0
    retired: tuple[bytes, ...] = ()
    retired_limited: tuple[PackageKey, ...] = ()
    signers: tuple[str, ...] = ()  # of the desired state that was accepted last
    states: tuple[bytes, ...] = ()

    @property
    def former_keys(self) -> tuple[PackageKey, ...]:
        """Return the keys that were trusted once."""
        return (*map(PackageKey, self.retired), *self.retired_limited)


@dataclass(frozen=True, slots=True)
class TrustStatus:
    """What the node trusts; `mode` is simple, offline, or enrolment without signed metadata.

    `expires_at` is when installs stop unless newer metadata comes (Unix ms by the metadata's time,
    None before the first), `problem` what is wrong with what the hub sent last, and `revoked` which
    packages in service are signed by no key that is trusted now. `audit_head` is the newest record
    of the hub's audit chain, `audit_findings` what the chain was found to have lost or changed.
    """

    mode: str
    versions: dict[str, int]
    expires_at: int | None
    problem: str
    revoked: tuple[str, ...]
    audit_head: ChainHead | None = None
    audit_findings: tuple[str, ...] = ()


def keep_state(kept: tuple[bytes, ...], signed: hub_pb2.SignedState) -> tuple[bytes, ...]:
    """Return the signed states that are kept, with another one if it has other packages.

    Args:
        kept: as they came, the newest last.
        signed: a verified state.
    """
    packages = _packages_of(signed)
    if not packages or (
        kept and packages == _packages_of(hub_pb2.SignedState.FromString(kept[-1]))
    ):
        return kept
    return (*kept, signed.SerializeToString(deterministic=True))[-_STATES:]


def _packages_of(signed: hub_pb2.SignedState) -> frozenset[str]:
    state = hub_pb2.DesiredState.FromString(signed.state)
    return frozenset(package.digest for package in state.packages)


def of_version(data: bytes | None, version: int) -> bytes | None:
    """Return metadata that is known if it has this version."""
    return data if data is not None and content.version_of(data) == version else None


def decode_state(data: bytes) -> TrustState:
    """Return the state of a file; raises ValueError, or what msgspec raises, if it is damaged."""
    state = msgspec.json.decode(data, type=TrustState)
    for role in state.known.values():
        content.version_of(role)
    return state


def read_root(path: Path) -> bytes:
    """Return the root metadata of a file.

    Raises:
        ConfigurationError: it holds none.
    """
    try:
        data = path.read_bytes()
        root = Metadata[Root].from_bytes(data)
        root.signed.verify_delegate(Root.type, root.signed_bytes, root.signatures)
    except (OSError, ValueError, RepositoryError) as error:
        raise ConfigurationError(f"root_file {path} holds no root metadata: {error}") from error
    return data
