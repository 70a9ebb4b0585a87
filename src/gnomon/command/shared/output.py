"""What every reporting command shares: `--json`, lines and tables, and values shown as they are.

A value may come from anybody who may write to a hub. So no value is read as markup, and characters
that would move the cursor or turn the text around are shown by their number.
"""

import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

from gnomon.command.shared.times import show_time


def _has_rich() -> bool:
    try:
        import rich  # noqa: F401
    except ModuleNotFoundError:
        return False
    return True


if TYPE_CHECKING or _has_rich():
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from gnomon.command.shared.table_layout import arrange_columns
else:
    from gnomon.command.shared.plain_output import PlainConsole as Console
    from gnomon.command.shared.plain_output import PlainTable as Table
    from gnomon.command.shared.plain_output import PlainText as Text
    from gnomon.command.shared.plain_output import arrange_columns, cell_len

#: Columns of a line if there is no terminal: nothing is wrapped or folded for a program that reads.
PIPE_COLUMNS = 100_000

console = Console(
    width=None if sys.stdout.isatty() else PIPE_COLUMNS, markup=False, emoji=False, highlight=False
)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")

#: Control characters but tabs and line ends, direction overrides, and halves of surrogate pairs.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def emit(payload: Any, *, as_json: bool, render: Callable[[], None]) -> None:
    """Print `payload` as JSON, or call `render` to show it to a person."""
    if as_json:
        click.echo(json.dumps(payload, indent=2, default=str))
    else:
        render()


def printable(value: object) -> str:
    """Return a value as text, with characters that do more than show themselves escaped."""
    return _UNPRINTABLE.sub(lambda found: repr(found[0])[1:-1], str(value))


def styled(value: object, style: str) -> Text:
    """Return a value as text in a style, such as `bold`, `red` or `bold red`."""
    return Text(printable(value), style)


def show(*parts: object) -> None:
    """Print one line of values and `styled` ones, joined without spaces; or one table.

    A table whose columns would be too narrow to read is printed as one line for each value.
    """
    if len(parts) == 1 and isinstance(parts[0], Table):
        if arrange_columns(parts[0], console.width):
            console.print(parts[0])
        else:
            _show_records(parts[0])
        return
    console.print(Text.assemble(*map(_as_text, parts)), soft_wrap=True)


def _show_records(shown: Table) -> None:
    console.print(shown.title or "", soft_wrap=True)
    columns = [(column.header, list(column.cells)) for column in shown.columns]
    for row in range(shown.row_count):
        show()
        for header, cells in columns:
            if str(cells[row]):
                _show_value(header, cells[row])


def _show_value(header: object, value: object) -> None:
    """Print a value after its name; several words are wrapped between them, one is left whole."""
    line = Text.assemble("  ", _as_text(header), ": ", _as_text(value))
    words = str(value).split()
    if len(words) > 1:
        (line, *more) = line.wrap(console, max(console.width - 4, *map(cell_len, words)))
        line = Text("\n    ").join([line, *more])
    console.print(line, soft_wrap=True)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """Return a table with one row of texts for each row of values, which may be `styled`."""
    heading = Text(printable(title), no_wrap=True, overflow="ignore")
    result = Table(
        title=heading, title_justify="left", header_style="bold", show_edge=False, pad_edge=False
    )
    for column in columns:
        result.add_column(_as_text(column), overflow="fold")
    for row in rows:
        result.add_row(*map(_as_text, row))
    return result


def readable(name: str, value: Any) -> Any:
    """Return the value of a column `at` or `…_at`, Unix ms, as a time; others as they are."""
    if not f"_{name}".endswith("_at") or not isinstance(value, int):
        return value
    return show_time(value) or value


def _as_text(value: object) -> Text:
    if isinstance(value, Text):
        return value
    return Text("" if value is None else printable(value).expandtabs())
