"""Metadata that an operator signs away from the hub: root and targets in a folder, beside the keys.

    FOLDER/1.root.json, 2.root.json, …, targets.json, keys/KEY_ID.pem

The files are those that a hub exports and imports. Each change makes the next version and signs it
with the keys that are here; where several people hold keys, each signs the folder in turn.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, TargetFile, Targets

from gnomon.runtime.errors import ConfigurationError, InvalidInput, StorageError
from gnomon.runtime.files import write_durably
from gnomon.runtime.packages.package import Package
from gnomon.runtime.trust import content
from gnomon.runtime.trust.content import Mode, RootStatement, TargetsStatement
from gnomon.runtime.trust.key_files import KeyFolder

_KEY_CHARACTERS = 64


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


class OfflineMetadata:
    """The folder of one operator; for one process at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.keys = KeyFolder(folder / "keys")

    def write(self, files: Iterable[Mapping[str, Any]]) -> None:
        """Write what a hub exported: its roots and targets; newer ones that are here stay.

        Raises:
            StorageError: the folder cannot be written.
        """
        for one in files:
            role, data = str(one["role"]), str(one["data"]).encode()
            if role in (Root.type, Targets.type):
                path = self._path(role, content.version_of(data))
                if not path.exists() or content.version_of(path.read_bytes()) < one["version"]:
                    self._save(path, data)

    def read(self) -> list[tuple[str, bytes]]:
        """Return all roots in order, then the targets, as a hub imports them.

        Raises:
            ConfigurationError: the folder holds no exported metadata.
        """
        roots = [(Root.type, path.read_bytes()) for path in self._root_files()]
        return [*roots, (Targets.type, self._targets_bytes())]

    def take_over(self, root_keys: int, threshold: int, *, listed_packages_only: bool) -> None:
        """Make keys for root and targets, and the metadata that names them in place of the hub's.

        Args:
            root_keys: how many keys the root has.
            threshold: how many of them must sign it.
            listed_packages_only: whether nodes take only packages that are listed.

        Raises:
            InvalidInput: the threshold is not between 1 and the number of keys.
        """
        if not 1 <= threshold <= root_keys:
            raise InvalidInput(f"threshold should be 1 to {root_keys}, got {threshold}")
        root = self.root
        root.unrecognized_fields.update(content.fields(RootStatement(mode=Mode.OFFLINE)))
        self._replace_keys(root, Root.type, root_keys, threshold)
        self._replace_keys(root, Targets.type, 1, 1)
        self._sign_root(root)
        targets = self.targets
        statement = content.targets_statement(targets)
        self._state(targets, statement.package_keys, listed_packages_only)

    def rotate_root(self) -> None:
        """Replace the root's keys by new ones; those before sign the change too."""
        root = self.root
        role = root.roles[Root.type]
        before = list(role.keyids)
        self._replace_keys(root, Root.type, len(before), role.threshold)
        self._sign_root(root, before)

    def add_key(self, key: str) -> None:
        """Trust a package key (Ed25519, 32 bytes in hex).

        Raises:
            InvalidInput: it is no such key.
        """
        try:
            is_key = len(bytes.fromhex(key)) * 2 == len(key) == _KEY_CHARACTERS
        except ValueError:
            is_key = False
        if not is_key:
            raise InvalidInput("a key should be an Ed25519 public key: 32 bytes in hexadecimal")
        targets = self.targets
        statement = content.targets_statement(targets)
        keys = tuple(dict.fromkeys((*statement.package_keys, key.lower())))
        self._state(targets, keys, statement.listed_packages_only)

    def remove_key(self, key: str) -> None:
        """Trust a package key no longer.

        Raises:
            InvalidInput: it is not trusted.
        """
        targets = self.targets
        statement = content.targets_statement(targets)
        if key.lower() not in statement.package_keys:
            raise InvalidInput(f"key {key[:16]} is not trusted")
        keys = tuple(one for one in statement.package_keys if one != key.lower())
        self._state(targets, keys, statement.listed_packages_only)

    def add_package(self, package: Package) -> str:
        """List a package; return its path."""
        manifest = package.manifest
        path = content.package_target(manifest.name, manifest.version, manifest.format)
        targets = self.targets
        targets.targets[path] = TargetFile.from_data(path, package.manifest_bytes, ["sha256"])
        self._sign_targets(targets)
        return path

    def remove_package(self, path: str) -> None:
        """List a package (`NAME/VERSION/FORMAT`) no longer.

        Raises:
            InvalidInput: it is not listed.
        """
        targets = self.targets
        if path not in targets.targets:
            raise InvalidInput(f"{path} is not listed; there is {', '.join(targets.targets)}")
        del targets.targets[path]
        self._sign_targets(targets)

    def renew(self, days: float) -> None:
        """Make the next versions of root and targets, which expire after that number of days."""
        self._sign_root(self.root, days=days)
        self._sign_targets(self.targets, days=days)

    def sign(self) -> list[RoleSignatures]:
        """Add the signatures of the keys that are here; return how far each role is signed."""
        files = self._root_files()
        for path in [*files[-1:], self._path(Targets.type, 0)]:
            metadata: Metadata[Any] = Metadata.from_bytes(path.read_bytes())
            role = metadata.signed.type
            for signer in self.keys.find(self._signers(role)):
                metadata.sign(signer, append=True)
            self._save(path, metadata.to_bytes())
        return self.signatures()

    def signatures(self) -> list[RoleSignatures]:
        """Return how far the newest root and the targets are signed."""
        found = []
        for data in (self._root_files()[-1].read_bytes(), self._targets_bytes()):
            metadata: Metadata[Any] = Metadata.from_bytes(data)
            role = metadata.signed.type
            result = self.root.get_verification_result(
                role, metadata.signed_bytes, metadata.signatures
            )
            found.append(
                RoleSignatures(
                    role,
                    metadata.signed.version,
                    len(result.signed),
                    result.threshold,
                    int(metadata.signed.expires.timestamp() * 1_000),
                )
            )
        return found

    @property
    def root(self) -> Root:
        """Return the newest root."""
        root: Root = _decode(self._root_files()[-1].read_bytes(), Root)
        return root

    @property
    def targets(self) -> Targets:
        """Return the targets."""
        targets: Targets = _decode(self._targets_bytes(), Targets)
        return targets

    def _state(self, targets: Targets, keys: tuple[str, ...], listed_only: bool) -> None:
        statement = TargetsStatement(keys, listed_only)
        targets.unrecognized_fields.update(content.fields(statement))
        self._sign_targets(targets)

    def _replace_keys(self, root: Root, role: str, number: int, threshold: int) -> None:
        for key_id in list(root.roles[role].keyids):
            root.revoke_key(key_id, role)
        for _ in range(number):
            root.add_key(self.keys.make().public_key, role)
        root.roles[role].threshold = threshold

    def _signers(self, role: str) -> list[str]:
        """Return the keys that may sign a role; of a root also those of the root before."""
        key_ids = list(self.root.roles[role].keyids)
        files = self._root_files()
        if role == Root.type and len(files) > 1:
            key_ids += _decode(files[-2].read_bytes(), Root).roles[role].keyids
        return list(dict.fromkeys(key_ids))

    def _sign_root(self, root: Root, before: Iterable[str] = (), days: float = 365) -> None:
        newest = (self.root.roles[Root.type].keyids, root.roles[Root.type].keyids)
        key_ids = dict.fromkeys((*before, *newest[0], *newest[1]))
        root.version += 1
        self._sign(root, key_ids, days)

    def _sign_targets(self, targets: Targets, days: float = 365) -> None:
        targets.version += 1
        self._sign(targets, self.root.roles[Targets.type].keyids, days)

    def _sign(self, signed: Any, key_ids: Iterable[str], days: float) -> None:
        signed.expires = datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)
        metadata = Metadata(signed)
        for signer in self.keys.find(key_ids):
            metadata.sign(signer, append=True)
        self._save(self._path(signed.type, signed.version), metadata.to_bytes())

    def _root_files(self) -> list[Path]:
        found = self.folder.glob("*.root.json")
        files = sorted(found, key=lambda path: int(path.name.partition(".")[0]))
        if not files:
            raise ConfigurationError(
                f"{self.folder} holds no metadata; run `gnomon trust export {self.folder}` first"
            )
        return files

    def _targets_bytes(self) -> bytes:
        try:
            return self._path(Targets.type, 0).read_bytes()
        except OSError as error:
            raise ConfigurationError(f"{self.folder} holds no targets: {error}") from error

    def _path(self, role: str, version: int) -> Path:
        return self.folder / (f"{version}.root.json" if role == Root.type else f"{role}.json")

    def _save(self, path: Path, data: bytes) -> None:
        try:
            self.folder.mkdir(mode=0o700, exist_ok=True, parents=True)
            write_durably(path, data)
        except OSError as error:
            raise StorageError(f"{path} cannot be written: {error}") from error


def _decode(data: bytes, kind: type[Any]) -> Any:
    try:
        signed = Metadata.from_bytes(data).signed
    except (RepositoryError, ValueError) as error:
        raise ConfigurationError(f"this is no signed metadata: {error}") from error
    if not isinstance(signed, kind):
        raise ConfigurationError(f"this is {signed.type} metadata, not {kind.type}")
    return signed
