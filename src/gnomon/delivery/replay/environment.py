"""Recreates the environment that a package was built with: the exact versions that it pins.

A separate folder holds the pinned libraries; everything else (Python, Gnomon and its own
requirements) is that of this process. Unavailable libraries are reported, and the replay goes on
without them.
"""

import subprocess
import sys
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import gnomon
from gnomon.delivery.replay.archive import PIP_SECONDS, last_line
from gnomon.runtime.packages.manifest import Dependency

__all__ = ["Environment", "rebuild"]


@dataclass(frozen=True, slots=True)
class Environment:
    """A Python with the pinned libraries; `missing` lists the unavailable ones, with reasons."""

    python: Path
    missing: tuple[str, ...] = ()


def rebuild(pinned: Sequence[Dependency], folder: Path, wheelhouse: Path | None) -> Environment:
    """Install the pinned libraries into a new environment, from an index or only from a folder.

    Each is installed by itself, so that an unavailable one does not affect others; hashes that the
    package names must fit.
    """
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    (site,) = (folder / "lib").glob("python*/site-packages")
    # Behind the environment's own folder, so that pinned libraries take precedence.
    here = [str(Path(gnomon.__file__).parents[1]), *sys.path]
    (site / "gnomon-here.pth").write_text("\n".join(filter(None, here)) + "\n", encoding="utf-8")
    missing = [
        problem
        for one in pinned
        if (problem := _install(one, python, folder, wheelhouse)) is not None
    ]
    return Environment(python, tuple(missing))


def _install(one: Dependency, python: Path, folder: Path, wheelhouse: Path | None) -> str | None:
    """Install one library; return why that was not possible."""
    line = f"{one.name}=={one.version}"
    requirement = folder / "requirement.txt"
    hashes = "".join(f" --hash={known}" for known in one.hashes)
    requirement.write_text(f"{line}{hashes}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    # A build from source would differ from the pinned library.
    command += ["--no-deps", "--only-binary", ":all:", "--ignore-installed"]
    if wheelhouse is not None:
        command += ["--no-index", "--find-links", str(wheelhouse)]
    done = subprocess.run(
        [*command, "--requirement", str(requirement)],
        capture_output=True,
        text=True,
        timeout=PIP_SECONDS,
        check=False,
    )
    return f"{line}: {last_line(done.stderr)}" if done.returncode else None
