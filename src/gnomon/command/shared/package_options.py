"""What the commands around packages share."""

from pathlib import Path
from typing import Any

import click

from gnomon.runtime.errors import ConfigurationError

#: Of an Ed25519 public key.
_KEY_BYTES = 32

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)

signing_key_option = click.option(
    "--key", "key_file", type=FILE, help="Private key to sign with (PEM, of `gnomon package key`)."
)

MODELS = click.option(
    "--models",
    default="*",
    show_default=True,
    help="Whose packages the key signs: a model's name, or a pattern such as 'eta-*'.",
)


def keys_in_hex(ctx: click.Context, param: click.Parameter, keys: tuple[str, ...]) -> Any:
    """Return the values of an option for public keys in their hex form, whatever files held them.

    Raises:
        ConfigurationError: one is no key.
    """
    return tuple(_parse_key(key).hex() for key in keys)


def key_in_hex(ctx: click.Context, param: click.Parameter, key: str) -> Any:
    """Return the value of an argument for one public key in its hex form.

    Raises:
        ConfigurationError: it is no key.
    """
    return _parse_key(key).hex()


def parse_keys(keys: tuple[str, ...]) -> list[bytes]:
    """Return public keys from their hex form, or from files that hold it.

    Raises:
        ConfigurationError: a key is neither.
    """
    return [_parse_key(key) for key in keys]


def _parse_key(key: str) -> bytes:
    try:
        file = Path(key)
        text = file.read_text(encoding="ascii") if file.is_file() else key
        found = bytes.fromhex(text.strip())
    except (OSError, ValueError):
        found = b""
    if len(found) != _KEY_BYTES:
        raise ConfigurationError(
            f"{key[:80]!r} should be a public key: 64 hexadecimal digits, or a file that holds "
            f"them; {_describe_value(key)}"
        )
    return found


def _describe_value(key: str) -> str:
    """Return what a value is that is neither a key nor a file that holds one."""
    try:
        if Path(key).exists():
            return "the file holds something else"
    except (OSError, ValueError):
        pass
    return "there is no file of that name"
