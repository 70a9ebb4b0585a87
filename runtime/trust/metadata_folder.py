"""The files of metadata in an operator's folder, and the signatures on them.

FOLDER/1.root.json, 2.root.json, …, targets.json, ROLE.json, keys/KEY_ID.pem
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import DelegatedRole, Metadata, Root, Snapshot, Targets, Timestamp

from gnomon.runtime.errors import ConfigurationError, StorageError
from gnomon.runtime.files import write_durably
from gnomon.runtime.trust import content
from gnomon.runtime.trust.content import DESIRED
from gnomon.runtime.trust.key_files import KeyFolder

#: Days after which what is signed here expires.
LIFE_DAYS = 365.0


@dataclass(frozen=True, slots=True)
class RoleSignatures:
    """A role of the folder: its version, how many have signed it, and how many must."""

    role: str
    version: int
    signatures: int
    threshold: int
    expires_at: int  # Unix ms

    @property
    def is_signed(self) -> bool:
        """Whether enough keys signed it."""
        return self.signatures >= self.threshold


class MetadataFolder:
    """The folder of one operator; for one process at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.keys = KeyFolder(folder / "keys")

    def write(self, files: Iterable[Mapping[str, Any]]) -> None:
        """Write what a hub exported; newer files that are here stay.

        Raises:
            StorageError: the folder cannot be written.
        """
        for one in files:
            role, data = str(one["role"]), str(one["data"]).encode()
            if role in (Snapshot.type, Timestamp.type):
                continue  # the hub signs them
            path = self.path(role, int(one["version"]))
            if not path.exists() or content.version_of(path.read_bytes()) < one["version"]:
                self.save(path, data)

    def read(self) -> list[tuple[str, bytes]]:
        """Return all roots in order, then targets and delegated targets, as a hub imports them.

        Raises:
            ConfigurationError: the folder holds no exported metadata.
        """
        found = [(Root.type, path.read_bytes()) for path in self.root_files()]
        return found + [(role, self.targets_bytes(role)) for role in self.targets_roles()]

    def sign(self) -> list[RoleSignatures]:
        """Add the signatures of the keys that are here; return how far each role is signed."""
        paths = {role: self.path(role, 0) for role in self.targets_roles()}
        for role, path in {Root.type: self.root_files()[-1], **paths}.items():
            metadata: Metadata[Any] = Metadata.from_bytes(path.read_bytes())
            for signer in self.keys.find(self._signers(role)):
                metadata.sign(signer, append=True)
            self.save(path, metadata.to_bytes())
        return self.signatures()

    def signatures(self) -> list[RoleSignatures]:
        """Return how far the newest root, the targets and delegated targets are signed."""
        found = []
        for role in (Root.type, *self.targets_roles()):
            is_root = role == Root.type
            data = self.root_files()[-1].read_bytes() if is_root else self.targets_bytes(role)
            metadata: Metadata[Any] = Metadata.from_bytes(data)
            delegator = self.targets if role in self.delegated else self.root
            result = delegator.get_verification_result(
                role, metadata.signed_bytes, metadata.signatures
            )
            signed = metadata.signed
            expires = int(signed.expires.timestamp() * 1_000)
            found.append(
                RoleSignatures(role, signed.version, len(result.signed), result.threshold, expires)
            )
        return found

    @property
    def root(self) -> Root:
        """Return the newest root."""
        root: Root = decode(self.root_files()[-1].read_bytes(), Root)
        return root

    @property
    def targets(self) -> Targets:
        """Return the top-level targets."""
        return self.targets_of(Targets.type)

    @property
    def delegated(self) -> dict[str, DelegatedRole]:
        """Return the roles that list packages for the top-level targets, by name."""
        delegations = self.targets.delegations
        roles = delegations.roles if delegations is not None else None
        return {name: role for name, role in (roles or {}).items() if name != DESIRED}

    def targets_of(self, role: str) -> Targets:
        """Return the targets of a role."""
        targets: Targets = decode(self.targets_bytes(role), Targets)
        return targets

    def targets_roles(self) -> list[str]:
        """Return the top-level role and those delegated roles that have a file here."""
        return [Targets.type, *(one for one in self.delegated if self.path(one, 0).exists())]

    def sign_targets(
        self, targets: Targets, role: str = Targets.type, days: float = LIFE_DAYS
    ) -> None:
        """Write the next version of a role's targets, signed by the keys that are here."""
        targets.version += 1
        self.write_signed(targets, role, self._signers(role), days)

    def write_signed(
        self, signed: Root | Targets, role: str, key_ids: Iterable[str], days: float
    ) -> None:
        """Write metadata, signed by those of the keys that are here.

        Args:
            signed: what is signed.
            role: whose metadata it is.
            key_ids: of the keys that may sign it.
            days: after which it expires.
        """
        signed.expires = datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)
        metadata: Metadata[Any] = Metadata(signed)
        for signer in self.keys.find(key_ids):
            metadata.sign(signer, append=True)
        self.save(self.path(role, signed.version), metadata.to_bytes())

    def root_files(self) -> list[Path]:
        """Return the files of all roots, in order of their versions.

        Raises:
            ConfigurationError: the folder has no such file.
        """
        found = self.folder.glob("*.root.json")
        files = sorted(found, key=lambda path: int(path.name.partition(".")[0]))
        if not files:
            raise ConfigurationError(
                f"{self.folder} holds no metadata; run `gnomon trust export {self.folder}` first"
            )
        return files

    def targets_bytes(self, role: str) -> bytes:
        """Return the file of a role's targets.

        Raises:
            ConfigurationError: the folder has no such file.
        """
        try:
            return self.path(role, 0).read_bytes()
        except OSError as error:
            raise ConfigurationError(f"{self.folder} holds no {role}: {error}") from error

    def path(self, role: str, version: int) -> Path:
        """Return the path of a role's metadata; only roots have their version in it."""
        return self.folder / (f"{version}.root.json" if role == Root.type else f"{role}.json")

    def save(self, path: Path, data: bytes) -> None:
        """Write a file.

        Raises:
            StorageError: it cannot be written.
        """
        try:
            self.folder.mkdir(mode=0o700, exist_ok=True, parents=True)
            write_durably(path, data)
        except OSError as error:
            raise StorageError(f"{path} cannot be written: {error}") from error

    def _signers(self, role: str) -> list[str]:
        """Return the keys that may sign a role; of a root also those of the root before."""
        if role in self.delegated:
            return list(self.delegated[role].keyids)
        key_ids = list(self.root.roles[role].keyids)
        files = self.root_files()
        if role == Root.type and len(files) > 1:
            key_ids += decode(files[-2].read_bytes(), Root).roles[role].keyids
        return list(dict.fromkeys(key_ids))


def decode(data: bytes, kind: type[Any]) -> Any:
    """Return the signed part of metadata of a kind.

    Raises:
        ConfigurationError: it is other metadata, or none.
    """
    try:
        signed = Metadata.from_bytes(data).signed
    except (RepositoryError, ValueError) as error:
        raise ConfigurationError(f"this is no signed metadata: {error}") from error
    if not isinstance(signed, kind):
        raise ConfigurationError(f"this is {signed.type} metadata, not {kind.type}")
    return signed
