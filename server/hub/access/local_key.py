"""The key of callers on the hub's own machine: a file that only the hub's user can read.

It is made at the first start, in the data folder. The hub keeps only its hash in memory. Another
user of the machine, a web page or a proxy cannot read the file, so none of them is `local`.
"""

import hmac
import os
import secrets
from pathlib import Path

from gnomon.runtime.errors import ConfigurationError, StorageError
from gnomon.runtime.files import write_durably
from gnomon.server.hub.access.enrolment_tokens import hash_secret

#: The file in the hub's data folder.
FILE_NAME = "local.key"

_OTHERS = 0o077
_SHORTEST = 32


class LocalKey:
    """The key of a data folder; `is_new` if this start has made it."""

    def __init__(self, folder: Path) -> None:
        """Read the key, or make it.

        Raises:
            StorageError: the file cannot be read or written.
            ConfigurationError: it is no key, or other users may read it.
        """
        self.file = folder.resolve() / FILE_NAME
        try:
            self.is_new = not self.file.exists()
            if self.is_new:
                key = f"gnomon_{secrets.token_urlsafe(32)}"
                write_durably(self.file, key.encode() + b"\n", mode=0o600)
            key = self._read()
        except OSError as error:
            raise StorageError(f"{self.file} cannot be used: {error}") from error
        except UnicodeDecodeError as error:
            raise ConfigurationError(f"{self.file} is no key: {error}") from error
        if len(key) < _SHORTEST:
            raise ConfigurationError(f"{self.file} is no key; remove it to have a new one made")
        self._hash = hash_secret(key)

    def matches(self, key: str) -> bool:
        """Whether this is the key."""
        return hmac.compare_digest(hash_secret(key), self._hash)

    def _read(self) -> str:
        with self.file.open(encoding="ascii") as file:
            if os.fstat(file.fileno()).st_mode & _OTHERS:
                raise ConfigurationError(
                    f"other users may read {self.file}, so it is no secret; remove it to have a "
                    "new one made"
                )
            return file.read().strip()
