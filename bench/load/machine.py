"""Facts of the machine that a load test runs on, and what else it does."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

__all__ = ["BUSY_SHARE", "MachineWatch", "machine_facts"]

#: The share of all cores in use before a test from which its figures are marked.
BUSY_SHARE = 0.1
SECONDS_BEFORE = 0.3


def machine_facts() -> dict[str, Any]:
    """Return processor, cores, kernel and Python version by name."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


@dataclass
class MachineWatch:
    """The share of all cores in use before a test, and during it but for this process.

    A server on the same machine is part of the latter.
    """

    before: float
    _busy: float
    _all: float
    _own: float

    @classmethod
    def start(cls) -> "MachineWatch":
        """Look for a moment at what the machine does, and begin to watch."""
        before = psutil.cpu_percent(SECONDS_BEFORE) / 100
        return cls(before, *_used())

    def during(self) -> float:
        """Return the share of all cores that others have used since the start."""
        busy, everything, own = _used()
        spent = everything - self._all
        others = busy - self._busy - (own - self._own)
        return min(1.0, max(0.0, others / spent)) if spent > 0 else 0.0

    @property
    def is_marked(self) -> bool:
        """Whether figures are marked as taken beside other work."""
        return self.before > BUSY_SHARE


def _used() -> tuple[float, float, float]:
    """Return CPU seconds in use, of all cores, and of this process."""
    times = psutil.cpu_times()
    everything = sum(times)
    own = psutil.Process().cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    return everything - idle, everything, own.user + own.system
