"""References to versions: `NAME@VERSION`, and `NAME@ALIAS` at a hub."""

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from gnomon.runtime.errors import ConfigurationError, UnknownModel
from gnomon.runtime.packages.manifest import NAME_PATTERN

if TYPE_CHECKING:
    from gnomon.client.hub import HubClient


def split_reference(reference: str) -> tuple[str, str]:
    """Return name and version.

    Raises:
        ConfigurationError: it is not `NAME@VERSION`.
    """
    name, _, version = reference.partition("@")
    if not name or not version:
        raise ConfigurationError(f"{reference!r} should be NAME@VERSION, such as eta@1")
    return name, version


def resolve_reference(client: "HubClient", reference: str) -> tuple[str, str]:
    """Return name and version of `NAME@VERSION`, or of what `NAME@ALIAS` stands for at a hub.

    Raises:
        ConfigurationError: it is neither, or both: an alias that is called like another version.
    """
    name, version = split_reference(reference)
    return name, resolve_version(client, name, version)


def resolve_version(client: "HubClient", name: str, version: str) -> str:
    """Return the version that a version or an alias of a model stands for at a hub.

    Raises:
        ConfigurationError: it is both: an alias that is called like another version.
    """
    if not re.fullmatch(NAME_PATTERN, version):  # as 1 or 2026.11: no alias is called so
        return version
    aliases = client.get(f"models/{name}/aliases")

    def check_version() -> None:
        client.get(f"models/{name}/versions/{version}")

    return choose_version(name, version, aliases, check_version)


def choose_version(
    name: str, version: str, aliases: Mapping[str, str], check_version: Callable[[], object]
) -> str:
    """Return what a version or an alias stands for; what is no alias is itself.

    Args:
        name: the model's name.
        version: a version or an alias.
        aliases: version by alias, of the model.
        check_version: raises UnknownModel if the model has no version of that name.

    Raises:
        ConfigurationError: it is an alias of one version and the name of another.
    """
    meant = aliases.get(version, version)
    if meant == version:
        return version
    try:
        check_version()
    except UnknownModel:
        return meant
    raise ConfigurationError(
        f"{name}@{version} is a version, and an alias of {name}@{meant}; remove the alias "
        f"(gnomon registry alias {name} {version} --remove) or name the version that it stands for"
    )
