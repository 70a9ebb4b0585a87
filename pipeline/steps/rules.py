"""Rules: the conditions of a build's risk tier, checked before it runs."""

from dataclasses import dataclass
from pathlib import Path

from gnomon.pipeline.environment import code_version
from gnomon.runtime.errors import ConfigurationError
from gnomon.runtime.packages.risk_tiers import is_strict

__all__ = ["RefusedBuild", "Rules", "check_clean", "check_tier_of_single_build"]


class RefusedBuild(ConfigurationError):
    """The rules of the build's risk tier forbid the run."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a build requires: only committed code, only data whose fingerprint is given."""

    clean_code: bool = False
    fingerprints: bool = False

    @classmethod
    def of_tier(cls, risk_tier: str) -> "Rules":
        """Return what a risk tier requires: everything, unless the tier is known to be harmless."""
        is_demanding = is_strict(risk_tier)
        return cls(clean_code=is_demanding, fingerprints=is_demanding)


def check_tier_of_single_build(reference: str, risk_tier: str) -> None:
    """Refuse a build without a record of its steps for a tier that requires one.

    Args:
        reference: `name@version`.
        risk_tier: of the package.

    Raises:
        RefusedBuild: the tier requires committed code and known data.
    """
    if Rules.of_tier(risk_tier) != Rules():
        raise RefusedBuild(
            f"{reference} is of risk tier {risk_tier!r}; such a package is built by a recorded "
            "pipeline alone, which checks code and data: gnomon pipeline run build.toml"
        )


def check_clean(source: Path) -> str:
    """Return the version of the code in a file.

    Raises:
        RefusedBuild: it is not committed.
    """
    commit, clean = code_version(source)
    if not clean:
        raise RefusedBuild(
            f"{source} is not committed, or tracked files beside it are changed, and this build "
            "runs committed code only; commit, and run it again"
        )
    return commit
