"""Which versions of a model a standalone node loads, and which one answers by default."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from gnomon.runtime.errors import ConfigurationError

_EXPECTED = "'latest', 'latest:COUNT', 'all' or 'specific:VERSION,VERSION'"


@dataclass(frozen=True, slots=True)
class VersionPolicy:
    """The newest `count`, those that are named, or, if `count` is 0 and none is named, all.

    >>> VersionPolicy.parse("latest:2").choose(["1", "10", "9"])
    ('9', '10')
    """

    count: int = 1
    named: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a policy.

        Raises:
            ConfigurationError: it is not a version.
        """
        kind, _, rest = text.strip().partition(":")
        if kind == "all" and not rest:
            return cls(count=0)
        if kind == "latest" and (not rest or (rest.isdecimal() and int(rest) > 0)):
            return cls(count=int(rest or 1))
        named = tuple(part.strip() for part in rest.split(",") if part.strip())
        if kind == "specific" and named:
            return cls(count=0, named=named)
        raise ConfigurationError(f"version_policy should be {_EXPECTED}, got {text[:80]!r}")

    def choose(self, versions: Iterable[str]) -> tuple[str, ...]:
        """Return those of the versions that are loaded, oldest first; the last one is the default.

        Raises:
            ConfigurationError: a version that the policy names is not there.
        """
        known = sorted(versions, key=age)
        if missing := set(self.named) - set(known):
            raise ConfigurationError(
                f"version_policy names version {', '.join(sorted(missing))}; there are "
                f"{', '.join(known)}"
            )
        chosen = [one for one in known if not self.named or one in self.named]
        return tuple(chosen[-self.count :])


def age(version: str) -> tuple[tuple[int, int, str], ...]:
    """Return by what versions are ordered, oldest first: numbers in them count as numbers."""
    parts = re.findall(r"\d+|\D+", version)
    return tuple((1, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts)
