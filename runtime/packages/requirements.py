"""What a package needs of a machine, held against what the machine has."""

import platform
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from gnomon.runtime.packages.manifest import Dependency, Needs

__all__ = ["Machine", "other_versions", "this_machine", "unmet"]

_CPU_FILE = Path("/proc/cpuinfo")


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The properties of a machine; `cpu_features` is None if the system does not report them."""

    system: str
    architecture: str
    memory_mib: int
    cpu_features: frozenset[str] | None
    runtime_version: str


def this_machine() -> Machine:
    """Return what this machine is."""
    return Machine(
        system=platform.system().lower(),
        architecture=platform.machine().lower(),
        memory_mib=psutil.virtual_memory().total >> 20,
        cpu_features=_cpu_features(),
        runtime_version=version("gnomon"),
    )


def unmet(needs: Needs, machine: Machine) -> tuple[str, ...]:
    """Return what is needed and not there, a sentence each; `runtime_version` is the least that is.

    >>> here = Machine(system="linux", architecture="x86_64", memory_mib=512,
    ...                cpu_features=frozenset({"avx2"}), runtime_version="0.1.0")
    >>> unmet(Needs(memory_mib=1024, cpu_features=("avx2",)), here)
    ('it needs 1024 MiB of memory; this machine has 512',)
    """
    return tuple(_unmet(needs, machine))


def other_versions(dependencies: Sequence[Dependency]) -> tuple[str, ...]:
    """Return which libraries are not here in the version of the build, a phrase each."""
    found = ((one, _installed(one.name)) for one in dependencies)
    return tuple(
        f"{one.name} {here}, built with {one.version}" for one, here in found if here != one.version
    )


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "is not installed"


def _unmet(needs: Needs, machine: Machine) -> Iterator[str]:
    if needs.systems and machine.system not in {one.lower() for one in needs.systems}:
        yield f"it needs {' or '.join(needs.systems)}; this machine runs {machine.system}"
    if needs.memory_mib > machine.memory_mib:
        yield (f"it needs {needs.memory_mib} MiB of memory; this machine has {machine.memory_mib}")
    if needs.cpu_features and machine.cpu_features is None:
        yield (
            f"it needs the CPU features {', '.join(needs.cpu_features)}; "
            f"{machine.system} does not report them"
        )
    elif absent := [one for one in needs.cpu_features if one not in (machine.cpu_features or ())]:
        yield f"it needs the CPU features {', '.join(absent)}, which this machine lacks"
    if _numbers(needs.runtime_version) > _numbers(machine.runtime_version):
        yield (
            f"it needs Gnomon {needs.runtime_version} or later; this is {machine.runtime_version}"
        )


def _numbers(version: str) -> tuple[int, ...]:
    """Return the release numbers of a version without trailing zeros: 1.2 and 1.2.0 are one."""
    found = re.match(r"\D*(\d+(?:\.\d+)*)", version)
    numbers = [int(part) for part in found[1].split(".")] if found else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def _cpu_features() -> frozenset[str] | None:
    try:
        text = _CPU_FILE.read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    found = re.search(r"^(?:flags|Features)\s*:(.*)$", text, flags=re.MULTILINE)
    return frozenset(found[1].split()) if found else None
