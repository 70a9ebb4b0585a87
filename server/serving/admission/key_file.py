"""The file of API keys: which caller may use which models. It holds hashes, never a key.

The file is replaced as a whole, so a server that reads it meanwhile sees the old or the new one.
Rotation: create a second key of the same name, move the clients over, revoke the first by its id.
"""

import hashlib
import os
import secrets
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from gnomon.runtime.decoding import UNDECODABLE
from gnomon.runtime.errors import ConfigurationError, NotFound

#: A scope that holds every model.
ALL_MODELS = "*"
#: The name of callers on this machine, if no credentials are configured.
LOCAL_NAME = "local"
_NAME_CHARACTERS = 64


class ApiKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One key: public id, caller's name, allowed routes, and the SHA-256 of the key."""

    id: str
    name: str
    models: tuple[str, ...] = (ALL_MODELS,)
    sha256: str
    created_at: int


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    keys: tuple[ApiKey, ...] = ()


def is_reserved(name: str) -> bool:
    """Return whether no credential may have this name: it is empty, or that of local callers."""
    return name.strip().lower() in ("", LOCAL_NAME)


def hash_key(key: str) -> str:
    """Return the SHA-256 of a key, in hex: enough for keys of 256 random bits."""
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()


def read_keys(file: Path) -> tuple[ApiKey, ...]:
    """Return the keys of a file.

    Raises:
        ConfigurationError: it cannot be read, or is not a file of keys.
    """
    try:
        return msgspec.json.decode(file.read_bytes(), type=_Document).keys
    except (OSError, *UNDECODABLE) as error:
        raise ConfigurationError(
            f"{file} cannot be read as a file of API keys: {error}; `gnomon key create` makes one"
        ) from error


def create_key(file: Path, name: str, models: Sequence[str] = (ALL_MODELS,)) -> str:
    """Add a key to a file, created if missing; return the key, which is stored nowhere.

    Raises:
        ConfigurationError: the name is reserved or too long, or the file cannot be used.
    """
    if is_reserved(name) or len(name) > _NAME_CHARACTERS:
        raise ConfigurationError(
            f"name should have 1 to {_NAME_CHARACTERS} characters and not be {LOCAL_NAME!r}"
        )
    known = read_keys(file) if file.exists() else ()
    identity = secrets.token_hex(4)
    key = f"gnomon_{identity}_{secrets.token_urlsafe(32)}"
    made = ApiKey(
        id=identity,
        name=name,
        models=tuple(models) or (ALL_MODELS,),
        sha256=hash_key(key),
        created_at=int(time.time()),
    )
    _write(file, (*known, made))
    return key


def revoke_key(file: Path, identity: str) -> None:
    """Take a key out of a file.

    Raises:
        NotFound: no key has that id.
        ConfigurationError: the file cannot be used.
    """
    known = read_keys(file)
    kept = tuple(key for key in known if key.id != identity)
    if len(kept) == len(known):
        listed = ", ".join(key.id for key in known) or "none"
        raise NotFound(f"{file} has no key {identity[:40]!r}; it has {listed}", kind="key")
    _write(file, kept)


def _write(file: Path, keys: tuple[ApiKey, ...]) -> None:
    """Replace the file; only its owner may read it."""
    data = msgspec.json.format(msgspec.json.encode(_Document(keys)), indent=2) + b"\n"
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(file)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise ConfigurationError(f"{file} cannot be written: {error}") from error
