"""Routes: which package answers for a public model name. Pure functions, no state.

A key (a customer, a device) always has the same bucket of a route, 0 to 999. Each target takes as
many buckets as its weight, in the order given. So while the weight of the last target grows, keys
only move to it.
"""

import hashlib
import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from gnomon.proto import hub_pb2
from gnomon.runtime.errors import ConfigurationError
from gnomon.runtime.routing.fallbacks import Fallback, digests_of, from_route, write_into

#: The sum of a route's weights.
WEIGHT_TOTAL = 1_000


class Target(NamedTuple):
    """A package by digest, and its weight: parts in 1,000."""

    digest: str
    weight: int


@dataclass(frozen=True, slots=True)
class Route:
    """A public model name and who answers: weighted targets, shadows, fallbacks, further versions.

    The targets' weights add up to 1,000. A shadow's weight is the share of requests that it also
    receives; its answers go to no client. If a target fails, the first fallback that can answers.
    `versions` are further packages that answer requests for their version only.

    Raises:
        ConfigurationError: if there is no target or the weights do not add up.
    """

    name: str
    targets: tuple[Target, ...]
    shadows: tuple[Target, ...] = ()
    fallbacks: tuple[Fallback, ...] = ()
    versions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "targets", tuple(Target(*one) for one in self.targets))
        object.__setattr__(self, "shadows", tuple(Target(*one) for one in self.shadows))
        total = sum(target.weight for target in self.targets)
        weights = [target.weight for target in (*self.targets, *self.shadows)]
        if total != WEIGHT_TOTAL or min(weights) < 0 or max(weights) > WEIGHT_TOTAL:
            raise ConfigurationError(
                f"route {self.name!r}: the targets' weights {[t.weight for t in self.targets]} add "
                f"up to {total}, expected {WEIGHT_TOTAL}; each weight is between 0 and "
                f"{WEIGHT_TOTAL}"
            )

    @property
    def digests(self) -> tuple[str, ...]:
        """Return all packages that the route needs, each once."""
        everyone = [target.digest for target in (*self.targets, *self.shadows)]
        return tuple(dict.fromkeys([*everyone, *digests_of(self.fallbacks), *self.versions]))


def single(name: str, digest: str) -> Route:
    """Return the route on which one package answers everything."""
    return Route(name, (Target(digest, WEIGHT_TOTAL),))


def bucket_of(route: str, key: str) -> int:
    """Return a key's bucket on a route, 0 to 999: the same in every process and release."""
    data = f"{route}\0{key}".encode(errors="surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest()) % WEIGHT_TOTAL


def choose_target(route: Route, key: str | None = None, bucket: int | None = None) -> str:
    """Return the digest of the target that answers: by the key if there is one, else by chance.

    `bucket` is the call's traffic bucket, 0 to 999, if one was chosen already.
    """
    if len(route.targets) == 1:
        return route.targets[0].digest
    if key is not None:
        left = bucket_of(route.name, key)
    else:
        left = random.randrange(WEIGHT_TOTAL) if bucket is None else bucket  # noqa: S311
    for target in route.targets:
        left -= target.weight
        if left < 0:
            return target.digest
    raise AssertionError("a route's weights add up to 1,000")


def choose_shadows(route: Route, request_id: str) -> tuple[str, ...]:
    """Return the digests of the shadows that also receive a request, chosen by its id."""
    if not route.shadows:
        return ()
    sampled = bucket_of(f"{route.name}\0shadow", request_id)
    return tuple(shadow.digest for shadow in route.shadows if sampled < shadow.weight)


def from_message(message: hub_pb2.Route) -> Route:
    """Return the route that a hub's message describes.

    Raises:
        ConfigurationError: if its weights do not add up, or a fallback is invalid.
    """
    return Route(
        message.name,
        _targets(message.targets),
        _targets(message.shadows),
        from_route(message),
    )


def to_message(route: Route) -> hub_pb2.Route:
    """Return the message that describes a route, but for its further versions."""
    message = hub_pb2.Route(
        name=route.name,
        targets=[hub_pb2.Target(digest=d, weight=w) for d, w in route.targets],
        shadows=[hub_pb2.Target(digest=d, weight=w) for d, w in route.shadows],
    )
    write_into(message, route.fallbacks)
    return message


def _targets(messages: Iterable[hub_pb2.Target]) -> tuple[Target, ...]:
    return tuple(Target(message.digest, message.weight) for message in messages)
