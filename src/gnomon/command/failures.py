"""Reports unexpected errors: one line, and a file with the traceback."""

import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import click

#: The longest message of an unexpected error that is shown.
_LONGEST_MESSAGE = 300


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
