"""What an operator states offline: the keys of root and targets, package keys, listed packages.

Each change makes the next version and signs it with the keys that are in the folder. Where several
people hold keys, each signs the folder in turn.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from securesystemslib.signer import Key
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from gnomon.runtime.errors import InvalidInput
from gnomon.runtime.packages.manifest import NAME_PATTERN
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.package_keys import ALL_MODELS, PackageKey, parse_package_key
from gnomon.runtime.trust import content
from gnomon.runtime.trust.content import (
    DESIRED,
    TOP_LEVEL,
    Mode,
    RootStatement,
    TargetsStatement,
)
from gnomon.runtime.trust.metadata_folder import LIFE_DAYS, MetadataFolder


class OfflineMetadata(MetadataFolder):
    """The operator's folder and what can be changed in it; for one process at a time."""

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
        self._state(self.targets, self._keys(), listed_packages_only)

    def rotate_root(self) -> None:
        """Replace the root's keys by new ones; those before sign the change too."""
        root = self.root
        role = root.roles[Root.type]
        self._replace_keys(root, Root.type, len(role.keyids), role.threshold)
        self._sign_root(root)

    def add_key(self, key: str, models: str = ALL_MODELS) -> None:
        """Trust a package key (Ed25519, 32 bytes in hex), or change the models that it signs for.

        Args:
            key: the public key.
            models: a name or a pattern, such as `eta-*`.

        Raises:
            InvalidInput: it is no such key or pattern.
        """
        added = parse_package_key(key, models)
        self._state(self.targets, (*self._keys(), added))

    def remove_key(self, key: str) -> None:
        """Trust a package key no longer.

        Raises:
            InvalidInput: it is not trusted.
        """
        before = self._keys()
        keys = tuple(one for one in before if one.key.hex() != key.lower())
        if keys == before:
            raise InvalidInput(f"key {key[:16]} is not trusted")
        self._state(self.targets, keys)

    def add_package(self, package: Package, role: str = Targets.type) -> str:
        """List a package, in the top-level targets or those of a delegated role; return its path.

        Raises:
            InvalidInput: there is no such role.
        """
        manifest = package.manifest
        path = content.package_target(manifest.name, manifest.version, manifest.format)
        targets = self.targets_of(self._known(role))
        targets.targets[path] = TargetFile.from_data(path, package.manifest_bytes, ["sha256"])
        self.sign_targets(targets, role)
        return path

    def remove_package(self, path: str, role: str = Targets.type) -> None:
        """List a package (`NAME/VERSION/FORMAT`) no longer.

        Raises:
            InvalidInput: there is no such role, or it does not list the package.
        """
        targets = self.targets_of(self._known(role))
        if path not in targets.targets:
            raise InvalidInput(f"{path} is not listed; there is {', '.join(targets.targets)}")
        del targets.targets[path]
        self.sign_targets(targets, role)

    def delegate(self, role: str, models: Sequence[str]) -> None:
        """Let a role with a new key list the packages of models, besides the top-level targets.

        Args:
            role: its name.
            models: names of models, or patterns such as `eta-*`.

        Raises:
            InvalidInput: the name is not plain, is one of the framework's, or is taken.
        """
        if not re.match(NAME_PATTERN, role) or role in (*TOP_LEVEL, DESIRED):
            raise InvalidInput(f"role {role[:80]!r} should match {NAME_PATTERN}, and be a new name")
        targets = self.targets
        delegations = targets.delegations or Delegations({}, {})
        if delegations.roles is None or role in delegations.roles:
            raise InvalidInput(f"there is a role {role!r} already")
        key = self.keys.make().public_key
        paths = [content.package_target(model, "*", "*") for model in models]
        delegations.keys[key.keyid] = key
        delegations.roles[role] = DelegatedRole(role, [key.keyid], 1, False, paths=paths)
        targets.delegations = delegations
        self.sign_targets(targets)
        self.write_signed(Targets(), role, [key.keyid], LIFE_DAYS)

    def replace_hub_keys(self, keys: Iterable[Mapping[str, Any]]) -> None:
        """Name new keys of the hub, for `snapshot`, `timestamp` and `desired`.

        Args:
            keys: each with `role`, `key_id` and `key`, as the hub made them.

        Raises:
            InvalidInput: one is for another role, or is no key.
        """
        root, targets = self.root, self.targets
        for one in keys:
            try:
                key = Key.from_dict(str(one["key_id"]), dict(one["key"]))
            except (KeyError, TypeError, ValueError) as error:
                raise InvalidInput(f"this is no key: {error}") from error
            if one["role"] in (Snapshot.type, Timestamp.type):
                for key_id in list(root.roles[one["role"]].keyids):
                    root.revoke_key(key_id, one["role"])
                root.add_key(key, one["role"])
            elif one["role"] == DESIRED:
                targets.delegations = content.with_desired_key(key, targets.delegations)
            else:
                raise InvalidInput(f"{one['role']!r} is not signed by the hub in offline mode")
        self._sign_root(root)
        self.sign_targets(targets)

    def renew(self, days: float) -> None:
        """Make the next versions of all that is here, which expire after that number of days."""
        self._sign_root(self.root, days)
        for role in self.targets_roles():
            self.sign_targets(self.targets_of(role), role, days)

    def _known(self, role: str) -> str:
        if role != Targets.type and role not in self.delegated:
            raise InvalidInput(f"there is no role {role[:80]!r}; `gnomon trust delegate` makes one")
        return role

    def _keys(self) -> tuple[PackageKey, ...]:
        return content.targets_statement(self.targets).keys

    def _state(
        self, targets: Targets, keys: Iterable[PackageKey], listed_only: bool | None = None
    ) -> None:
        """State other keys; `None`: whether only listed packages are taken stays as it is."""
        before = content.targets_statement(targets).listed_packages_only
        only = before if listed_only is None else listed_only
        statement = TargetsStatement.of(keys, listed_packages_only=only)
        targets.unrecognized_fields.update(content.fields(statement))
        self.sign_targets(targets)

    def _replace_keys(self, root: Root, role: str, number: int, threshold: int) -> None:
        for key_id in list(root.roles[role].keyids):
            root.revoke_key(key_id, role)
        for _ in range(number):
            root.add_key(self.keys.make().public_key, role)
        root.roles[role].threshold = threshold

    def _sign_root(self, root: Root, days: float = LIFE_DAYS) -> None:
        before, now = self.root.roles[Root.type].keyids, root.roles[Root.type].keyids
        key_ids = dict.fromkeys((*before, *now))
        root.version += 1
        self.write_signed(root, Root.type, key_ids, days)
