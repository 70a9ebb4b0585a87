"""Recreates the environment that a package was built with: the exact versions that it pins.

A separate folder holds the pinned libraries; everything else (Python, Gnomon and its own
requirements) is that of this process. Unavailable libraries are reported, and the replay goes on
without them.
"""

import re
import subprocess
import sys
import venv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import gnomon
from gnomon.delivery.replay.archive import PIP_SECONDS, last_line, why_no_requirement
from gnomon.runtime.packages.chunks import sha256
from gnomon.runtime.packages.manifest import Dependency

__all__ = ["Environment", "rebuild"]


@dataclass(frozen=True, slots=True)
class Environment:
    """A Python with the pinned libraries; `missing` lists the unavailable ones, with reasons."""

    python: Path
    missing: tuple[str, ...] = ()


def rebuild(
    pinned: Sequence[Dependency],
    folder: Path,
    wheelhouse: Path | None,
    tell: Callable[[str], object] = lambda line: None,
) -> Environment:
    """Install the pinned libraries into a new environment, from an index or only from a folder.

    Each is installed by itself, so that an unavailable one does not affect others. A wheel must
    have a hash that the package names or, if it names none, be the one in the folder; without
    either nothing is installed.

    Args:
        pinned: the libraries.
        folder: of the new environment.
        wheelhouse: folder of wheels, and no index is asked; None: an index.
        tell: is called with a line for each library before it is installed.
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
        if (problem := _install(one, python, folder, wheelhouse, tell)) is not None
    ]
    return Environment(python, tuple(missing))


def _install(
    one: Dependency,
    python: Path,
    folder: Path,
    wheelhouse: Path | None,
    tell: Callable[[str], object],
) -> str | None:
    """Install one library; return why that was not possible."""
    if (wrong := why_no_requirement(one)) is not None:
        return wrong
    line = f"{one.name}=={one.version}"
    hashes = one.hashes or (_hashes_in(wheelhouse, one) if wheelhouse else ())
    if not hashes:
        return f"{line}: the package names no hash of it, and no wheelhouse has its wheel"
    requirement = folder / "requirement.txt"
    text = " ".join([line, *(f"--hash={known}" for known in hashes)])
    requirement.write_text(f"{text}\n", encoding="utf-8")
    tell(f"installs {text}")
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    # A build from source would differ from the pinned library.
    command += ["--no-deps", "--only-binary", ":all:", "--ignore-installed", "--require-hashes"]
    if wheelhouse is not None:
        # Isolated: no file or variable of pip's adds another place to look.
        command += ["--isolated", "--no-index", "--find-links", str(wheelhouse)]
    done = subprocess.run(
        [*command, "--requirement", str(requirement)],
        capture_output=True,
        text=True,
        timeout=PIP_SECONDS,
        check=False,
    )
    return f"{line}: {last_line(done.stderr)}" if done.returncode else None


def _hashes_in(wheelhouse: Path, one: Dependency) -> tuple[str, ...]:
    """Return the hashes of the wheels of a library in a folder."""
    wanted = [re.sub("[-_.]+", "_", one.name).lower(), one.version.lower()]
    return tuple(
        f"sha256:{sha256(wheel.read_bytes())}"
        for wheel in sorted(wheelhouse.glob("*.whl"))
        if wheel.name.lower().split("-")[:2] == wanted
    )
