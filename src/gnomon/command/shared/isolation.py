"""Commands that load somebody's model: each runs in a process whose working directory is empty.

A model may name files by relative paths. Where `gnomon` was called, such a name can be that of a
key; in an empty folder it finds nothing. A process that dies of a model becomes an error.
"""

import functools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any

import click

from gnomon.runtime.errors import EngineError

__all__ = ["in_empty_folder"]


def in_empty_folder(command: Callable[..., Any]) -> Callable[..., Any]:
    """Run a command's function in a process of its own, in an empty working directory.

    Files that are given as `Path` may be relative to the caller's directory. In a directory that
    is empty already the function runs at once.
    """

    @functools.wraps(command)
    def run_or_start(**options: Any) -> Any:
        if next(Path().iterdir(), None) is None:
            return command(**options)
        return _run_again(click.get_current_context())

    return run_or_start


def _run_again(context: click.Context) -> int:
    """Run the same command with absolute paths in another process; return its exit code."""
    _, *names = context.command_path.split()
    with (
        TemporaryDirectory(prefix="gnomon-empty-") as empty,
        TemporaryFile("w+", encoding="utf-8") as output,
        subprocess.Popen(
            [sys.executable, "-P", "-m", "gnomon", *names, *_arguments(context)],
            cwd=empty,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(os.path.isabs, sys.path))},
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        # At once: what a command is about to do is told before it does it.
        for line in process.stderr or ():
            click.echo(line, nl=False, err=True)
        code = process.wait()
        output.seek(0)
        click.echo(output.read(), nl=False)
    if code < 0:
        raise EngineError(f"the process that loaded the model ended with {code}")
    return code


def _arguments(context: click.Context) -> Iterator[str]:
    """Yield the options and arguments of a command as they would be typed."""
    operands = []
    for parameter in context.command.params:
        value = context.params.get(parameter.name or "")
        values = value if isinstance(value, tuple) else (value,)
        texts = [_text(one) for one in values if one is not None and one is not False]
        if isinstance(parameter, click.Option):
            for text in texts:
                yield parameter.opts[-1] if text is None else f"{parameter.opts[-1]}={text}"
        else:
            operands += [text for text in texts if text is not None]
    yield "--"
    yield from operands


def _text(value: Any) -> str | None:
    """Return an option's value as it is typed; None for a flag that is set."""
    if value is True:
        return None
    return str(value.absolute()) if isinstance(value, Path) else str(value)
