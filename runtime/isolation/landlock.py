"""Landlock: this process may from now on read a few folders, and nothing else of the file system.

The three calls have the same numbers on all architectures. See landlock(7).
"""

import ctypes
import os
from collections.abc import Iterable
from pathlib import Path

__all__ = ["allow_reading_only", "landlock_version"]

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG, _PATH_BENEATH = 1, 1
_SET_NO_NEW_PRIVILEGES = 38

#: Rights over files by the version that knows them: the number of bits that it handles.
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_EXECUTE, _READ_FILE, _READ_FOLDER = 1 << 0, 1 << 2, 1 << 3
#: Bind and connect of TCP, from version 4 on; abstract sockets and signals of others, from 6 on.
_NETWORK_VERSION, _NETWORK_RIGHTS = 4, 0b11
_SCOPE_VERSION, _SCOPES = 6, 0b11


class _RulesetAttributes(ctypes.Structure):
    _fields_ = (
        ("files", ctypes.c_uint64),
        ("network", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


class _PathAttributes(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32))


_libc = ctypes.CDLL(None, use_errno=True)


def landlock_version() -> int:
    """Return the version of Landlock that the kernel has; 0 if it has none."""
    return max(int(_libc.syscall(_CREATE_RULESET, None, 0, _VERSION_FLAG)), 0)


def allow_reading_only(paths: Iterable[Path]) -> None:
    """Forbid this thread, and those that it starts, every file but those in the given folders.

    Nothing can be written, made, removed or run; from version 4 of Landlock on, no TCP connection
    can be opened or accepted. Files that are open already stay so. Paths that are not there are
    left out.

    Raises:
        OSError: the kernel has no Landlock, or refuses.
    """
    version = landlock_version()
    if not version:
        raise OSError("the kernel has no Landlock")
    handled = _RulesetAttributes((1 << _FILE_RIGHTS[min(version, max(_FILE_RIGHTS))]) - 1, 0, 0)
    size = 8
    if version >= _NETWORK_VERSION:
        handled.network, size = _NETWORK_RIGHTS, 16
    if version >= _SCOPE_VERSION:
        handled.scoped, size = _SCOPES, 24
    ruleset = _call(_CREATE_RULESET, ctypes.byref(handled), size, 0)
    try:
        for path in paths:
            _allow(ruleset, path)
        if _libc.prctl(_SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "no_new_privs cannot be set")
        _call(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: Path) -> None:
    try:
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        rights = _EXECUTE | _READ_FILE | (_READ_FOLDER if path.is_dir() else 0)
        rule = _PathAttributes(rights, opened)
        _call(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(opened)


def _call(number: int, *arguments: object) -> int:
    result = int(_libc.syscall(number, *arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), f"Landlock call {number} failed")
    return result
