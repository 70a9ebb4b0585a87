"""What `output` takes from rich, for servers on which it is not installed.

Nothing is styled, and a table is one line for each value.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import click


class PlainText(str):
    """A text; its style is not shown."""

    __slots__ = ()

    def __new__(cls, text: str = "", *_style: str, **_layout: object) -> PlainText:
        """Return the text."""
        return super().__new__(cls, text)

    @classmethod
    def assemble(cls, *parts: str) -> PlainText:
        """Return the parts as one text."""
        return cls("".join(parts))

    def wrap(self, *_: object) -> list[PlainText]:
        """Return the text as one line: a terminal wraps it."""
        return [self]

    def join(self, lines: Iterable[str]) -> PlainText:
        """Return the lines as one text, with this one between them."""
        return PlainText(super().join(lines))


@dataclass
class PlainColumn:
    """A column of a table: its heading, and one text for each row."""

    header: PlainText
    cells: list[PlainText] = field(default_factory=list)


class PlainTable:
    """Texts by column."""

    def __init__(self, *, title: PlainText, **_layout: object) -> None:
        self.title = title
        self.columns: list[PlainColumn] = []
        self.row_count = 0

    def add_column(self, header: PlainText, **_layout: object) -> None:
        """Add a column, before any row."""
        self.columns.append(PlainColumn(header))

    def add_row(self, *texts: PlainText) -> None:
        """Add a row with one text for each column."""
        for column, text in zip(self.columns, texts, strict=True):
            column.cells.append(text)
        self.row_count += 1


class PlainConsole:
    """Standard output."""

    width = 80

    def __init__(self, **_settings: object) -> None:
        pass

    def print(self, text: str, **_settings: object) -> None:
        """Print one line."""
        click.echo(text)


def arrange_columns(_table: PlainTable, _width: int) -> bool:
    """Return False: no table is shown as one."""
    return False


def cell_len(text: str) -> int:
    """Return the width of a text."""
    return len(text)
