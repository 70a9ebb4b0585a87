"""The private keys with which a hub signs metadata and desired states.

The first key of each role is derived from the authority's, so that all hubs with one authority sign
with the same keys, and a backup of the authority is one of these too. Keys that replace them are
made at random and kept in the folder `trust`, each in a file named by its id.
"""

from collections.abc import Iterable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner

from gnomon.runtime.trust.content import DESIRED, TOP_LEVEL
from gnomon.runtime.trust.key_files import KeyFolder
from gnomon.server.hub.access.authority import Authority
from gnomon.server.hub.backup import TRUST

ROLES = (*TOP_LEVEL, DESIRED)


class SigningKeys:
    """Finds and makes keys. Safe to share between threads."""

    def __init__(self, data_folder: Path, authority: Authority) -> None:
        self.data_folder = data_folder
        self._folder = KeyFolder(data_folder / TRUST)
        self._first = {
            role: CryptoSigner(
                Ed25519PrivateKey.from_private_bytes(authority.derive_secret(f"gnomon {role}"))
            )
            for role in ROLES
        }

    def first(self, role: str) -> CryptoSigner:
        """Return the role's first key."""
        return self._first[role]

    def find(self, key_ids: Iterable[str]) -> list[CryptoSigner]:
        """Return those of the keys that this hub holds.

        Raises:
            ConfigurationError: a key's file cannot be read.
        """
        wanted = list(key_ids)
        held = {signer.public_key.keyid: signer for signer in self._first.values()}
        first = [held[key_id] for key_id in wanted if key_id in held]
        return first + self._folder.find(key_id for key_id in wanted if key_id not in held)

    def make(self) -> CryptoSigner:
        """Make a key and keep it; raises `StorageError`."""
        return self._folder.make()
