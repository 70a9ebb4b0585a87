"""The route file of a node without a hub: routes in TOML, with packages by name.

    [routes.eta]
    targets = {"eta@1" = 900, "eta@2" = 100}
    shadows = {"eta@3" = 50}
    fallback = ["eta@1", {rule = {air_time = "distance / 7.5 + 20"}}, {constant = {air_time = 120}}]
    versions = "all"

    [models.eta]
    batching = {max_rows = 64, max_delay_seconds = 0.002}
    instances = 2

A model without a table here is served as if there were no file. A `[models.NAME]` holds for all
versions of the model and overrides their manifests.
"""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from gnomon.runtime.errors import ConfigurationError
from gnomon.runtime.packages.manifest import NAME_PATTERN, Batching, Deployment
from gnomon.runtime.routing.fallbacks import (
    ConstantFallback,
    Fallback,
    PackageFallback,
    RuleFallback,
)

_BYTES_LIMIT = 1 << 20


class _RuleEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A fallback that is not a package: a rule or constants."""

    rule: dict[str, str] | None = None
    constant: dict[str, Any] | None = None


class RouteEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One `[routes.NAME]`; weights are parts in 1,000, packages `name@version`.

    `versions` is a version policy: which versions can be requested by name.
    """

    targets: dict[str, int]
    shadows: dict[str, int] = {}
    fallback: tuple[str | _RuleEntry, ...] = ()
    versions: str = ""

    @property
    def references(self) -> tuple[str, ...]:
        """Return the packages that the route names, each once."""
        chain = [one for one in self.fallback if isinstance(one, str)]
        return tuple(dict.fromkeys([*self.targets, *self.shadows, *chain]))

    def fallbacks(self, digests: Mapping[str, str]) -> tuple[Fallback, ...]:
        """Return the fallbacks, given the digest of each package that the route names."""
        return tuple(_fallback(one, digests) for one in self.fallback)


class ModelEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One `[models.NAME]`: settings that override those of the manifests."""

    batching: Batching | None = None
    instances: int | None = None

    def override(self, deployment: Deployment) -> Deployment:
        """Return a manifest's settings, replaced by those given here.

        Raises:
            ConfigurationError: one is out of range.
        """
        given = {name: value for name, value in msgspec.structs.asdict(self).items() if value}
        try:
            return msgspec.structs.replace(deployment, **given)
        except ValueError as error:
            raise ConfigurationError(f"[models]: {error}") from error


class RouteFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole file."""

    routes: dict[str, RouteEntry] = {}
    models: dict[str, ModelEntry] = {}


def read_routes(path: Path | None) -> RouteFile:
    """Read the file; None gives an empty one.

    Raises:
        ConfigurationError: it cannot be read or is invalid; the message names the place.
    """
    if path is None:
        return RouteFile()
    try:
        with path.open("rb") as file:
            text = file.read(_BYTES_LIMIT + 1)
        if len(text) > _BYTES_LIMIT:
            raise ConfigurationError(f"{path} should have at most {_BYTES_LIMIT} bytes")
        document = tomllib.loads(text.decode())
        found = msgspec.convert(document, RouteFile)
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"{path} cannot be used: {error}") from error
    for name, route in found.routes.items():
        _check(f"{path} [routes.{name}]", name, route)
    return found


def _check(where: str, name: str, route: RouteEntry) -> None:
    if not re.fullmatch(NAME_PATTERN, name):
        raise ConfigurationError(f"{where}: the name should match {NAME_PATTERN}")
    for reference in route.references:
        if not all(reference.partition("@")[::2]):
            raise ConfigurationError(f"{where}: {reference[:80]!r} should be NAME@VERSION")
    for entry in route.fallback:
        if isinstance(entry, _RuleEntry) and (entry.rule is None) == (entry.constant is None):
            raise ConfigurationError(
                f"{where}: a fallback should be a package, {{rule = {{…}}}} or {{constant = {{…}}}}"
            )


def _fallback(entry: str | _RuleEntry, digests: Mapping[str, str]) -> Fallback:
    if isinstance(entry, str):
        return PackageFallback(digests[entry])
    if entry.rule is not None:
        return RuleFallback(entry.rule)
    return ConstantFallback(entry.constant or {})
