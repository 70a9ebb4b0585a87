"""Facts about the machine of a node, which it reports to its hub."""

import platform
from collections.abc import Sequence
from importlib.metadata import version

import psutil


def describe_machine(engines: Sequence[str]) -> dict[str, str]:
    """Return facts about this machine for the hub; `engines` in order of preference."""
    return {
        "engines": ",".join(engines),
        "gnomon": version("gnomon"),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}".lower(),
        "processors": str(psutil.cpu_count() or 0),
        "memory_mib": str(psutil.virtual_memory().total >> 20),
    }
