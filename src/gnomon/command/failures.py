"""Errors that are not of Gnomon's family: known causes, and reports of unexpected ones.

An unexpected error is one line, and a file with the traceback.
"""

import errno
import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import click

from gnomon.core.kinds import ContractError
from gnomon.runtime.errors import ConfigurationError, GnomonError, StorageError
from gnomon.runtime.extras import EXTRA_OF_MODULE, missing_extra

#: What the disk cannot do, whatever path was given.
_DISK_ERRORS = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG))

#: The longest message of an unexpected error that is shown.
_LONGEST_MESSAGE = 300


def known_failure(error: Exception, command: str, arguments: Sequence[str]) -> GnomonError | None:
    """Return the typed error that an error of another family means; None if it is unexpected.

    Args:
        error: a missing extra, a contract that contradicts itself, a path of the caller's that
            cannot be used, a full disk, or anything else.
        command: the words of the command.
        arguments: all that the caller wrote.
    """
    if isinstance(error, ModuleNotFoundError):
        module = (error.name or "").partition(".")[0]
        if module not in EXTRA_OF_MODULE:
            return None
        extra = _extra_for(module, command)
        return ConfigurationError(missing_extra(f"`gnomon {command}`", module, extra))
    if isinstance(error, ContractError):
        # The core, which raises it, does not know whose fault it is: the fields are the caller's.
        return ConfigurationError(str(error))
    return _path_failure(error, arguments) if isinstance(error, OSError) else None


def _extra_for(module: str, command: str) -> str:
    """Return the extra that brings a module, and whatever else the command needs."""
    extra = EXTRA_OF_MODULE[module]
    (group, *_) = command.split() or [""]
    if group in ("bench", "demo"):
        return group
    return "hub" if group == "hub" and extra == "server" else extra


def _path_failure(error: OSError, arguments: Sequence[str]) -> GnomonError | None:
    """Return the typed error of a full disk, or of a path that the caller gave."""
    message = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    if error.errno in _DISK_ERRORS:
        return StorageError(message)
    if not isinstance(error.filename, str | os.PathLike):
        return None
    path = os.path.abspath(error.filename)  # noqa: PTH100 - no link is followed
    given = {
        os.path.abspath(part)  # noqa: PTH100
        for argument in arguments
        for part in (argument, argument.partition("=")[2])
        if part
    }
    is_given = path in given or os.path.dirname(path) in given  # noqa: PTH120
    return ConfigurationError(message) if is_given else None


def report_unexpected(error: Exception, command: str) -> None:
    """Say in one line on standard error what happened, and which file has the traceback."""
    log = _write_log(error, command)
    where = f"the traceback is in {log}" if log else "its traceback could not be written"
    click.echo(f"gnomon: unexpected error, please report it: {_one_line(error)}; {where}", err=True)


def command_words(root: click.Group, arguments: Sequence[str]) -> str:
    """Return which command the arguments call, without their values: these may be secret."""
    words: list[str] = []
    command: click.Command = root
    for argument in arguments:
        if not isinstance(command, click.Group):
            break
        try:
            found = command.get_command(click.Context(command), argument)
        except ImportError:
            return argument
        if found is not None:
            words.append(argument)
            command = found
    return " ".join(words)


def _one_line(error: Exception) -> str:
    """Return an error's type and the beginning of its message, on one line."""
    message = " ".join(str(error).split())[:_LONGEST_MESSAGE]
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def _write_log(error: Exception, command: str) -> Path | None:
    """Write the traceback to a new file that only its owner may read; None if none can be."""
    now = datetime.now(UTC)
    text = (
        f"{now.isoformat()} gnomon {version('gnomon')}, Python {sys.version.split()[0]}, "
        f"{sys.platform}\ncommand: gnomon {command}\n\n{''.join(traceback.format_exception(error))}"
    )
    name = f"error-{now:%Y%m%dT%H%M%S}-"
    for folder in _log_folders():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            descriptor, path = tempfile.mkstemp(prefix=name, suffix=".log", dir=folder)
            with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
        except (OSError, RuntimeError):
            continue
        return Path(path)
    return None


def _log_folders() -> list[Path]:
    """Return where the file may go: the user's folder for state, then that for temporary files."""
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    folders = [Path(tempfile.gettempdir())]
    try:
        return [Path(state).expanduser() / "gnomon", *folders]
    except RuntimeError:  # there is no home folder
        return folders
