"""Public keys that sign packages, each for the models that match its pattern."""

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import NamedTuple

from gnomon.runtime.errors import ConfigurationError, InvalidInput

#: The pattern of a key that signs packages of all models.
ALL_MODELS = "*"

_KEY_BYTES = 32
_PATTERN = re.compile(r"[a-z0-9_*-]{1,64}")


class PackageKey(NamedTuple):
    """An Ed25519 public key (32 bytes), and the pattern of the models whose packages it signs."""

    key: bytes
    models: str = ALL_MODELS

    @property
    def is_limited(self) -> bool:
        """Whether it signs packages of some models only."""
        return self.models != ALL_MODELS

    def covers(self, model: str) -> bool:
        """Return whether it signs packages of a model."""
        return fnmatchcase(model, self.models)


def as_package_key(key: bytes | PackageKey) -> PackageKey:
    """Return a key with its pattern; a bare one signs packages of all models.

    Raises:
        ConfigurationError: it is no Ed25519 public key.
    """
    found = key if isinstance(key, PackageKey) else PackageKey(key)
    if len(found.key) != _KEY_BYTES:
        raise ConfigurationError(
            f"a trusted key has {len(found.key)} bytes; an Ed25519 public key has {_KEY_BYTES}"
        )
    return found


def parse_package_key(key: str, models: str = ALL_MODELS) -> PackageKey:
    """Return a key from its hex form.

    Raises:
        InvalidInput: it is no Ed25519 public key, or the pattern is malformed.
    """
    try:
        data = bytes.fromhex(key)
    except ValueError as error:
        raise InvalidInput("a key should be an Ed25519 public key in hexadecimal") from error
    if len(data) != _KEY_BYTES:
        raise InvalidInput(f"a key should have {_KEY_BYTES} bytes, this one has {len(data)}")
    if not _PATTERN.fullmatch(models):
        raise InvalidInput(
            f"models should be a name or a pattern such as 'eta-*', not {models[:80]!r}"
        )
    return PackageKey(data, models)


def read_trusted_keys(settings: Iterable[str]) -> list[PackageKey]:
    """Return the keys of a setting: each a key in hex, or KEY=PATTERN of the models it counts for.

    Raises:
        ConfigurationError: one is malformed.
    """
    try:
        return [
            parse_package_key(key, models if separator else ALL_MODELS)
            for key, separator, models in (one.partition("=") for one in settings)
        ]
    except InvalidInput as error:
        raise ConfigurationError(
            f"trusted_keys should be Ed25519 keys in hex, or KEY=PATTERN of models: {error}"
        ) from error


def unlimited_keys(keys: Iterable[PackageKey]) -> list[bytes]:
    """Return the keys that sign packages of all models."""
    return [one.key for one in keys if not one.is_limited]


def limited_keys(keys: Iterable[PackageKey]) -> list[PackageKey]:
    """Return the keys that sign packages of some models."""
    return [one for one in keys if one.is_limited]
