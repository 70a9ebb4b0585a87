"""Limits of memory, processor time and files for a process that runs the model of others."""

import resource
from pathlib import Path

__all__ = ["limit_cpu", "limit_memory_and_files"]

_OPEN_FILES = 256
_STATUS = Path("/proc/self/statm")


def limit_memory_and_files(memory_bytes: int) -> None:
    """Let this process take so much more memory, write no byte into a file, and leave no core.

    Memory is that of addresses, which is more than what is used.
    """
    pages = int(_STATUS.read_text(encoding="ascii").split()[0])
    _lower(resource.RLIMIT_AS, pages * resource.getpagesize() + memory_bytes)
    _lower(resource.RLIMIT_NOFILE, _OPEN_FILES)
    for limit in (resource.RLIMIT_FSIZE, resource.RLIMIT_CORE):
        resource.setrlimit(limit, (0, 0))


def limit_cpu(seconds: int) -> None:
    """Let this process use so much processor time from now on; after it the system ends it."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    soft = int(used.ru_utime + used.ru_stime) + seconds + 1
    resource.setrlimit(resource.RLIMIT_CPU, (soft if hard < 0 else min(soft, hard), hard))


def _lower(limit: int, wanted: int) -> None:
    _, hard = resource.getrlimit(limit)
    kept = wanted if hard < 0 else min(wanted, hard)
    resource.setrlimit(limit, (kept, kept))
