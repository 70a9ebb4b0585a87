"""What every reporting command shares: `--json`, tables, the console."""

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table

#: Where nobody looks on (a pipe, a log), lines may be long.
console = Console() if sys.stdout.isatty() else Console(width=140)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


def emit(payload: Any, *, as_json: bool, render: Callable[[], None]) -> None:
    """Print `payload` as JSON, or call `render` to show it to a person."""
    if as_json:
        click.echo(json.dumps(payload, indent=2, default=str))
    else:
        render()


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """Return a table with one row of texts for each row of values."""
    result = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        result.add_column(column)
    for row in rows:
        result.add_row(*("" if value is None else str(value) for value in row))
    return result
