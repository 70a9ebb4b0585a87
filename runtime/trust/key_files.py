"""Private keys of signed metadata: Ed25519, PKCS#8 PEM, each in a file named by its id."""

from collections.abc import Iterable
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner

from gnomon.runtime.errors import ConfigurationError, StorageError
from gnomon.runtime.files import write_durably


class KeyFolder:
    """A folder of private keys that only its owner may read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def make(self) -> CryptoSigner:
        """Make a key and keep it.

        Raises:
            StorageError: it cannot be written.
        """
        signer = CryptoSigner.generate_ed25519()
        try:
            self.folder.mkdir(mode=0o700, exist_ok=True, parents=True)
            write_durably(self._path(signer.public_key.keyid), signer.private_bytes, mode=0o600)
        except OSError as error:
            raise StorageError(f"no key can be written to {self.folder}: {error}") from error
        return signer

    def find(self, key_ids: Iterable[str]) -> list[CryptoSigner]:
        """Return those of the keys that are here.

        Raises:
            ConfigurationError: a key's file cannot be read.
        """
        found = []
        for key_id in key_ids:
            if key_id.isalnum() and self._path(key_id).exists():
                found.append(_load(self._path(key_id)))
        return found

    def _path(self, key_id: str) -> Path:
        return self.folder / f"{key_id}.pem"


def _load(path: Path) -> CryptoSigner:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise ConfigurationError(f"{path} holds no readable key: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigurationError(f"{path} holds no Ed25519 key")
    return CryptoSigner(key)
