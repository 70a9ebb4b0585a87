"""Files that must survive a power cut: written to a temporary name, synced, renamed."""

import contextlib
import os
import re
from pathlib import Path

_TEMPORARY = re.compile(r"^\..+\.(\d+)\.new$")


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable; a no-op if the system cannot open folders."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:
        if os.name == "nt":
            return
        raise
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_synced(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Write a new file and sync its bytes, not yet its name.

    Raises:
        FileExistsError: if the path exists.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def write_temporary(path: Path, data: bytes, *, mode: int = 0o644) -> Path:
    """Write and sync data under a temporary name beside `path`; return that name.

    Raises:
        OSError: it cannot be written; nothing is left behind.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    temporary.unlink(missing_ok=True)
    try:
        write_synced(temporary, data, mode=mode)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    return temporary


def write_durably(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Replace a file as a whole: after a crash there is either the old one or the new one."""
    write_temporary(path, data, mode=mode).replace(path)
    sync_folder(path.parent)


def clear_temporaries(folder: Path) -> None:
    """Remove the temporary files that processes which have ended left in a folder.

    What cannot be removed, as on a read-only disk, stays.
    """
    with contextlib.suppress(OSError):
        for path in list(folder.iterdir()):
            match = _TEMPORARY.match(path.name)
            if match and not _is_of_another_process(int(match[1])):
                path.unlink(missing_ok=True)


def _is_of_another_process(pid: int) -> bool:
    """Whether a process other than this one has this number now."""
    if pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
