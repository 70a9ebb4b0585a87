"""What Gnomon states in metadata of The Update Framework, beside what the framework defines.

In `root`: the mode, simple or offline. In `targets`: the keys whose signatures on packages nodes
trust, whether only listed packages are taken, and the delegation of desired states to the hub. In
`timestamp`: when it was signed. A listed package is a target `NAME/VERSION/FORMAT` whose hash is
that of its manifest.
"""

import enum
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from securesystemslib.signer import Key
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    Root,
    Signed,
    Targets,
    Timestamp,
)

from gnomon.runtime.errors import UntrustedMetadata
from gnomon.runtime.packages.package_keys import ALL_MODELS, PackageKey

#: The field of our own in the signed part of metadata.
FIELD = "x-gnomon"

#: The role that signs desired states, and the paths that `targets` delegates to it.
DESIRED = "desired"
DESIRED_PATHS = ("desired/*",)

TOP_LEVEL = (Root.type, Timestamp.type, "snapshot", Targets.type)


class Mode(enum.StrEnum):
    """Who holds the keys of root and targets."""

    SIMPLE = "simple"  # the hub holds all keys
    OFFLINE = "offline"  # the operator holds them; the hub holds the others


class RootStatement(msgspec.Struct, frozen=True):
    """What root metadata states."""

    mode: Mode = Mode.OFFLINE


class TargetsStatement(msgspec.Struct, frozen=True):
    """What top-level targets metadata states; keys are Ed25519 public keys in hex.

    `limited_keys` has the pattern of the models that a key signs for. It is a field of its own so
    that nodes which do not know it trust none of them.
    """

    package_keys: tuple[str, ...] = ()
    listed_packages_only: bool = False
    limited_keys: dict[str, str] = {}

    @classmethod
    def of(cls, keys: Iterable[PackageKey], *, listed_packages_only: bool) -> "TargetsStatement":
        """Return what states these keys; of one that is given twice, the last counts."""
        patterns = {one.key.hex(): one.models for one in keys}
        return cls(
            tuple(key for key, models in patterns.items() if models == ALL_MODELS),
            listed_packages_only,
            {key: models for key, models in patterns.items() if models != ALL_MODELS},
        )

    @property
    def keys(self) -> tuple[PackageKey, ...]:
        """Return the keys whose signatures on packages count."""
        patterns = dict.fromkeys(self.package_keys, ALL_MODELS) | self.limited_keys
        return tuple(PackageKey(bytes.fromhex(key), models) for key, models in patterns.items())


class TimestampStatement(msgspec.Struct, frozen=True):
    """What timestamp metadata states; Unix milliseconds by the hub's clock."""

    signed_at: int = 0


def root_statement(root: Root) -> RootStatement:
    """Return what a root states; one made by other tools states that its keys are offline."""
    statement: RootStatement = _read(root, RootStatement)
    return statement


def targets_statement(targets: Targets) -> TargetsStatement:
    """Return what targets metadata states.

    Raises:
        UntrustedMetadata: it states something else than Gnomon does.
    """
    statement: TargetsStatement = _read(targets, TargetsStatement)
    return statement


def signed_at(timestamp: Timestamp) -> datetime | None:
    """Return when a timestamp was signed, at most when it expires; None if it does not say."""
    at = _read(timestamp, TimestampStatement).signed_at
    if at <= 0:
        return None
    return min(datetime.fromtimestamp(min(at, 10**14) / 1_000, UTC), timestamp.expires)


def fields(statement: msgspec.Struct) -> dict[str, Any]:
    """Return a statement as the extra fields of metadata."""
    return {FIELD: msgspec.to_builtins(statement)}


def with_desired_key(key: Key, before: Delegations | None = None) -> Delegations:
    """Return the delegation of desired states to a key of the hub, beside other delegations."""
    role = DelegatedRole(DESIRED, [key.keyid], 1, True, paths=list(DESIRED_PATHS))
    others = (before.roles if before is not None else None) or {}
    roles = {DESIRED: role} | {name: one for name, one in others.items() if name != DESIRED}
    known = {**(before.keys if before is not None else {}), key.keyid: key}
    named = {key_id for one in roles.values() for key_id in one.keyids}
    return Delegations({key_id: known[key_id] for key_id in known if key_id in named}, roles)


def package_target(name: str, version: str, form: str) -> str:
    """Return the target path of a package."""
    return f"{name}/{version}/{form}"


def verified_targets(known: Mapping[str, bytes]) -> Targets | None:
    """Return the top-level targets that a verified root vouches for; None if there are none.

    Expiry is not looked at: it stops installs, not what is in service.

    Raises:
        UntrustedMetadata: the files are damaged, or the root names other keys.
    """
    if Root.type not in known or Targets.type not in known:
        return None
    try:
        root = Metadata[Root].from_bytes(known[Root.type]).signed
        targets = Metadata[Targets].from_bytes(known[Targets.type])
        root.verify_delegate(Targets.type, targets.signed_bytes, targets.signatures)
    except Exception as error:
        raise UntrustedMetadata(f"the metadata kept here cannot be used: {error}") from error
    return targets.signed


def version_of(data: bytes) -> int:
    """Return the version of verified metadata."""
    metadata: Metadata[Any] = Metadata.from_bytes(data)
    return int(metadata.signed.version)


def _read(signed: Signed, kind: type[Any]) -> Any:
    try:
        return msgspec.convert(signed.unrecognized_fields.get(FIELD, {}), kind)
    except msgspec.ValidationError as error:
        raise UntrustedMetadata(f"{signed.type} states in {FIELD}: {error}") from error
