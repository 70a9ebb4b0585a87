"""Runs processes that load an untrusted model: one JSON message in, one out.

Such a process starts in an empty working directory and without environment variables, so a model
that names files by relative paths finds none, and it inherits no secret of this process.
"""

import subprocess
from collections.abc import Sequence
from tempfile import TemporaryDirectory
from typing import TypeVar

import msgspec

from gnomon.runtime.errors import EngineError

__all__ = ["run_worker"]

Reply = TypeVar("Reply", bound=msgspec.Struct)

_ERROR_CHARACTERS = 500


def run_worker(
    command: Sequence[str], request: msgspec.Struct, reply: type[Reply], *, seconds: float
) -> Reply:
    """Return what a process answers to one request.

    Args:
        command: The program and its arguments; paths are absolute.
        request: What is written to its standard input, as JSON.
        reply: The type of what it writes to its standard output, as JSON.
        seconds: How long it may take; then it is killed.

    Raises:
        EngineError: it took longer, or ended without a reply; the message has its last line.
    """
    with TemporaryDirectory(prefix="gnomon-empty-") as empty:
        try:
            done = subprocess.run(
                command,
                input=msgspec.json.encode(request),
                capture_output=True,
                cwd=empty,
                env={},
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise EngineError(f"it was not done after {seconds:g} s") from error
    try:
        return msgspec.json.decode(done.stdout, type=reply)
    except msgspec.DecodeError as error:
        last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise EngineError(
            f"its process ended with {done.returncode}: {last[:_ERROR_CHARACTERS]}"
        ) from error
