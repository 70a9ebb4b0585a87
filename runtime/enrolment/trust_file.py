"""The keys whose packages a node accepts, in a file of their own.

So damage to the identity, or its removal, does not make a node refuse the packages that it has.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from gnomon.runtime.packages.signing import TrustStore
from gnomon.runtime.state_file import StateFile

_KEY_BYTES = 32


def _decode_keys(data: bytes) -> tuple[bytes, ...]:
    keys = msgspec.json.decode(data, type=tuple[str, ...])
    decoded = tuple(bytes.fromhex(key) for key in keys)
    if any(len(key) != _KEY_BYTES for key in decoded):
        raise ValueError(f"a key should have {_KEY_BYTES} bytes")
    return decoded


class TrustFile:
    """Trusted keys, as the hub gave them last."""

    def __init__(self, path: Path, former: Sequence[bytes] = ()) -> None:
        """Read the keys.

        Args:
            path: of the file.
            former: keys to trust if there is no file yet, from an earlier version.
        """
        self._file = StateFile(path, _decode_keys)
        keys = self._file.read()
        if keys is None:
            keys = () if self._file.damage else tuple(former)
        self.keys = tuple(keys)
        self.trust = TrustStore(self.keys)

    @property
    def damage(self) -> str:
        """What was wrong with the file when it was read; empty: nothing."""
        return self._file.damage

    def save(self, keys: Sequence[bytes]) -> None:
        """Trust these keys from now on, once they are durable.

        Raises:
            StorageError: they cannot be written; the former keys stay.
        """
        self._file.write(msgspec.json.encode([key.hex() for key in keys]))
        self.keys = tuple(keys)
        self.trust = TrustStore(self.keys)
