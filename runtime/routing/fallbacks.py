"""What answers if a route's target fails, in the order of a chain. Declarations only.

Another package; a business rule, one expression over the inputs for each output (the language is
that of `gnomon.core.expression`); constants. `gnomon.runtime.predicting.fallback_chain` puts
them to work.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from gnomon.proto import hub_pb2
from gnomon.runtime.errors import ConfigurationError
from gnomon.runtime.packages.manifest import Deployment


@dataclass(frozen=True, slots=True)
class PackageFallback:
    """Another package, an older version as a rule, by its digest."""

    digest: str


@dataclass(frozen=True, slots=True)
class RuleFallback:
    """An expression over the inputs for each output, such as `distance / 7.5 + 20`."""

    outputs: Mapping[str, str] = field(hash=False)


@dataclass(frozen=True, slots=True)
class ConstantFallback:
    """A value for each output, the same for every row."""

    outputs: Mapping[str, Any] = field(hash=False)


Fallback = PackageFallback | RuleFallback | ConstantFallback


def digests_of(chain: Iterable[Fallback]) -> list[str]:
    """Return the packages of a chain."""
    return [one.digest for one in chain if isinstance(one, PackageFallback)]


def declared_fallbacks(deployment: Deployment) -> tuple[Fallback, ...]:
    """Return the chain that a package brings along for itself."""
    return tuple(
        RuleFallback(one.rule) if one.rule else ConstantFallback(one.constant or {})
        for one in deployment.fallback or ()
    )


def from_route(message: hub_pb2.Route) -> tuple[Fallback, ...]:
    """Return the chain of a hub's route: `fallbacks`, or the one package that older hubs name.

    Raises:
        ConfigurationError: one of them is not of a kind that this version knows.
    """
    if not message.fallbacks:
        return (PackageFallback(message.fallback_digest),) if message.fallback_digest else ()
    return tuple(_read(message.name, one) for one in message.fallbacks)


def write_into(message: hub_pb2.Route, chain: tuple[Fallback, ...]) -> None:
    """Write a chain into a route; older nodes, which know one package only, find its first."""
    message.fallback_digest = next(iter(digests_of(chain)), "")
    if chain != (PackageFallback(message.fallback_digest),):
        message.fallbacks.extend(map(_write, chain))


def _read(route: str, message: hub_pb2.Fallback) -> Fallback:
    try:
        if message.digest:
            return PackageFallback(message.digest)
        if message.rule:
            return RuleFallback(dict(message.rule))
        return ConstantFallback(msgspec.json.decode(message.constant, type=dict[str, Any]))
    except msgspec.DecodeError as error:
        raise ConfigurationError(
            f"route {route!r}: a fallback should be a package, a rule or constants: {error}"
        ) from error


def _write(fallback: Fallback) -> hub_pb2.Fallback:
    match fallback:
        case PackageFallback(digest):
            return hub_pb2.Fallback(digest=digest)
        case RuleFallback(outputs):
            return hub_pb2.Fallback(rule=outputs)
        case ConstantFallback(outputs):
            return hub_pb2.Fallback(constant=msgspec.json.encode(outputs, order="sorted").decode())
