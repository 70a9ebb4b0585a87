"""The options that say how CSV files are written, and how a command tells what it read."""

import csv
import functools
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import click

from gnomon.command.shared.output import show

if TYPE_CHECKING:
    from gnomon.pipeline.datasets.csv_dialect import CsvDialect

__all__ = ["csv_options", "show_notes", "split_names"]

_OPTIONS = (
    click.option(
        "--missing",
        help="Texts for no value in CSV, such as ,NA,? and no others. Default: the empty text and "
        "NA; among numbers, bools and times also N/A, null, nan, ?, - and others.",
    ),
    click.option(
        "--encoding", default="", help="Of CSV, such as cp1252. Default: by its mark, or UTF-8."
    ),
    click.option(
        "--delimiter",
        default="",
        metavar="C",
        help="Of CSV; tab for a tab. Default: the first of , ; tab | that the header has.",
    ),
    click.option(
        "--decimal",
        type=click.Choice([".", ","]),
        default=".",
        show_default=True,
        help="Decimal mark of CSV.",
    ),
    click.option(
        "--text",
        default="",
        metavar="A,B,…",
        help="Columns of CSV that are read as texts, such as codes with leading zeros.",
    ),
    click.option(
        "--ragged",
        type=click.Choice(["refuse", "fill"]),
        default="refuse",
        show_default=True,
        help="What to do about CSV rows that lack values; fill: the last ones are missing.",
    ),
)


#: The arguments that the options give.
_SETTINGS = ("missing", "encoding", "delimiter", "decimal", "text", "ragged")


def csv_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command, and hand in what makes a dialect of them as `dialect`.

    A command calls it if it reads CSV: only then the extra `pipeline` is needed.
    """

    @functools.wraps(command)
    def with_dialect(**options: Any) -> Any:
        settings = {name: options.pop(name) for name in _SETTINGS}
        return command(dialect=functools.partial(_dialect, **settings), **options)

    for option in reversed(_OPTIONS):
        with_dialect = option(with_dialect)
    return with_dialect


def _dialect(*, missing: str | None, delimiter: str, text: str, **settings: str) -> "CsvDialect":
    from gnomon.pipeline.datasets.csv_dialect import dialect_of

    return dialect_of(
        None if missing is None else missing.split(","),
        delimiter="\t" if delimiter in ("tab", "\\t") else delimiter,
        text=tuple(split_names(text)),
        **settings,
    )


def split_names(text: str) -> list[str]:
    """Return names that are separated by commas; double quotes enclose one with a comma."""
    (names,) = csv.reader([text], skipinitialspace=True) if text.strip() else ([],)
    return [name.strip() for name in names if name.strip()]


def show_notes(notes: Iterable[str]) -> None:
    """Show a person what a reader or a profile noted."""
    for note in notes:
        show("note: ", note)
