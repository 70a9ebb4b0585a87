"""The process in which a package is loaded and tried before the node itself loads it.

Run by `gnomon.edge.examination`. It has a limit of memory; the node ends it in time.
One line of JSON comes in, one goes out.
"""

import contextlib
import os
import signal
import sys
from pathlib import Path

import msgspec

from gnomon.runtime.errors import GnomonError
from gnomon.runtime.isolation.resource_limits import limit_memory_and_files
from gnomon.runtime.models.tensor_model import open_model
from gnomon.runtime.packages.package import Package

__all__ = ["ExaminationReply", "ExaminationRequest", "main", "yield_to_node"]

_NICENESS = 10
_ERROR_CHARACTERS = 1_000
#: Within this time after its own the process is ended by who started it, if that still runs.
_GRACE_SECONDS = 30


class ExaminationRequest(msgspec.Struct, frozen=True):
    """An installed package, whose signature was verified, and its limits."""

    path: str
    memory_bytes: int
    seconds: float


class ExaminationReply(msgspec.Struct, frozen=True):
    """Why the package cannot be used; empty: it loaded and reproduced its golden samples."""

    error: str = ""


def main() -> None:
    """Examine what standard input names, and write the reply to standard output."""
    request = msgspec.json.decode(sys.stdin.buffer.read(), type=ExaminationRequest)
    yield_to_node()
    signal.alarm(int(request.seconds) + _GRACE_SECONDS)  # if the node is killed meanwhile
    reply = ExaminationReply(_examine(request)[:_ERROR_CHARACTERS])
    sys.stdout.buffer.write(msgspec.json.encode(reply))
    sys.stdout.flush()
    os._exit(0)  # what a model left behind must not hold the answer back


def yield_to_node() -> None:
    """Let the node go first: for the processor, and if the machine runs out of memory."""
    os.nice(_NICENESS)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def _examine(request: ExaminationRequest) -> str:
    """Return why the package cannot be used; empty if it can."""
    try:
        package = Package.open(Path(request.path), None)
        limit_memory_and_files(request.memory_bytes)
        model = open_model(package)
        package.golden.check(model)
        model.warm_up()
    except GnomonError as error:
        return str(error)
    except MemoryError:
        return f"it needs more than {request.memory_bytes >> 20} MiB of memory"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""
