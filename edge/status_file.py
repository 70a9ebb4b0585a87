"""The file in which a running node says how it is, for `gnomon agent status`.

It is overwritten in place and always takes the same blocks, so that it can be written on a full
disk too. A reader that meets a write reads again.
"""

import contextlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gnomon.runtime.state_file import seal, unseal

__all__ = ["STATUS_FILE", "read_status_file", "write_status_file"]

STATUS_FILE = "status.json"
_BLOCK_BYTES = 16 << 10
_ATTEMPTS = 5
_PAUSE_SECONDS = 0.02


def write_status_file(folder: Path, status: Mapping[str, Any]) -> None:
    """Write a status; raise OSError if the disk refuses it."""
    data = seal(json.dumps(status, default=str).encode())
    size = -(-(len(data) + 1) // _BLOCK_BYTES) * _BLOCK_BYTES
    descriptor = os.open(folder / STATUS_FILE, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.pwrite(descriptor, data.rjust(size), 0)
        if os.fstat(descriptor).st_size > size:
            os.ftruncate(descriptor, size)
    finally:
        os.close(descriptor)


def read_status_file(folder: Path) -> dict[str, Any] | None:
    """Return the newest status of the folder's node; None if there is no whole one."""
    for _ in range(_ATTEMPTS):
        with contextlib.suppress(OSError, ValueError):
            data = (folder / STATUS_FILE).read_bytes().lstrip()
            sealed = unseal(data)
            if sealed != data:  # it has its checksum
                status = json.loads(sealed)
                return status if isinstance(status, dict) else None
        time.sleep(_PAUSE_SECONDS)
    return None
