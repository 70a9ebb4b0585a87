"""What the commands around packages share."""

from pathlib import Path

import click

from gnomon.runtime.errors import ConfigurationError

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)

signing_key_option = click.option(
    "--key", "key_file", type=FILE, help="Private key to sign with (PEM, of `gnomon package key`)."
)


def parse_keys(keys: tuple[str, ...]) -> list[bytes]:
    """Return public keys from their hex form.

    Raises:
        ConfigurationError: where one is not hex.
    """
    try:
        return [bytes.fromhex(key) for key in keys]
    except ValueError as error:
        raise ConfigurationError("--key should be 64 hexadecimal digits") from error
