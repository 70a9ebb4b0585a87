"""What a build used: the version of the code and the libraries that its package needs."""

import subprocess
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from gnomon.runtime.errors import ConfigurationError
from gnomon.runtime.packages.manifest import Dependency

__all__ = ["code_version", "pinned"]

_TIMEOUT_SECONDS = 30


def code_version(source: Path) -> tuple[str, bool]:
    """Return the version of the code in file `source`, and whether it is clean.

    That is `git:` and the commit, clean if no tracked file differs from it, if git tracks the
    file; elsewhere, `gnomon-` and this distribution's version, which is never clean.
    """
    try:
        _git(source, "ls-files", "--error-unmatch", source.name)
        commit = _git(source, "rev-parse", "HEAD")
        changes = _git(source, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return f"gnomon-{version('gnomon')}", False
    return f"git:{commit}", not changes


def pinned(names: Sequence[str]) -> tuple[Dependency, ...]:
    """Return the installed versions of the named distributions, in the order of their names.

    Raises:
        ConfigurationError: if one is not installed.
    """
    try:
        return tuple(Dependency(name=name, version=version(name)) for name in sorted(names))
    except PackageNotFoundError as error:
        raise ConfigurationError(
            f"the package needs {error.name}, which is not installed here"
        ) from error


def _git(source: Path, *arguments: str) -> str:
    answer = subprocess.run(
        ["git", "-C", str(source.resolve().parent), *arguments],
        capture_output=True,
        check=True,
        text=True,
        timeout=_TIMEOUT_SECONDS,
    )
    return answer.stdout.strip()
