"""The keys whose packages a node accepts, in a file of their own.

So damage to the identity, or its removal, does not make a node refuse the packages that it has.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from gnomon.runtime.errors import InvalidInput
from gnomon.runtime.packages.package_keys import PackageKey, parse_package_key
from gnomon.runtime.packages.signing import TrustStore
from gnomon.runtime.state_file import StateFile

_Entry = str | tuple[str, str]


def _decode_keys(data: bytes) -> tuple[PackageKey, ...]:
    """Return the keys of a file: in hex, or as a pair of hex and the models that they sign for."""
    entries = msgspec.json.decode(data, type=tuple[_Entry, ...])
    try:
        return tuple(
            parse_package_key(*((one,) if isinstance(one, str) else one)) for one in entries
        )
    except InvalidInput as error:
        raise ValueError(str(error)) from error


def _encode_key(key: PackageKey) -> _Entry:
    return (key.key.hex(), key.models) if key.is_limited else key.key.hex()


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
            keys = () if self._file.damage else tuple(map(PackageKey, former))
        self.keys = tuple(keys)
        self.trust = TrustStore(self.keys)

    @property
    def damage(self) -> str:
        """What was wrong with the file when it was read; empty: nothing."""
        return self._file.damage

    def save(self, keys: Sequence[PackageKey]) -> None:
        """Trust these keys from now on, once they are durable.

        Raises:
            StorageError: they cannot be written; the former keys stay.
        """
        self._file.write(msgspec.json.encode([_encode_key(key) for key in keys]))
        self.keys = tuple(keys)
        self.trust = TrustStore(self.keys)
