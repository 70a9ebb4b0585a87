"""What every reporting command shares: `--json`, tables, the console."""

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
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


def render_list(title: str, records: Sequence[Mapping[str, Any]]) -> None:
    """Show records to a person, without what is nested in them; times in ms become readable."""
    if not records:
        console.print(f"{title}: none yet")
        return
    columns = [name for name, value in records[0].items() if not isinstance(value, dict | list)]
    rows = [[readable(name, record[name]) for name in columns] for record in records]
    console.print(table(title, columns, rows))


def readable(name: str, value: Any) -> Any:
    """Return the value of a column `…_at`, Unix milliseconds, as a time; others as they are."""
    if name.endswith("_at") and isinstance(value, int):
        return datetime.fromtimestamp(value / 1000, UTC).isoformat(timespec="seconds")
    return value
