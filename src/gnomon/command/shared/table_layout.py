"""Widths of a table's columns: no word is broken, or the table is not shown as a table."""

from collections.abc import Iterable, Sequence

from rich.cells import cell_len
from rich.table import Table

#: Characters of a line that a column of texts has at least; with fewer it is a tower of words.
_LEAST_LINE = 24
#: The border between two columns, with its padding.
_BORDER = 3


def arrange_columns(shown: Table, width: int) -> bool:
    """Set the widths of the columns; return whether the table fits without breaking a word."""
    texts = [[str(column.header), *map(str, column.cells)] for column in shown.columns]
    most = [_longest(line for text in column for line in text.splitlines()) for column in texts]
    words = [_longest(word for text in column for word in text.split()) for column in texts]
    least = [max(word, min(line, _LEAST_LINE)) for word, line in zip(words, most, strict=True)]
    spare = width - _BORDER * (len(texts) - 1) - sum(least)
    if spare < 0:
        return False
    for column, chosen in zip(shown.columns, _share(least, most, spare), strict=True):
        column.width = chosen
    return True


def _longest(texts: Iterable[str]) -> int:
    return max(map(cell_len, texts), default=0)


def _share(least: Sequence[int], most: Sequence[int], spare: int) -> list[int]:
    """Return widths from `least` to `most`; what is spare goes to all that need more alike."""
    widths = list(least)
    for done, place in enumerate(sorted(range(len(least)), key=lambda one: most[one] - least[one])):
        added = min(most[place] - least[place], spare // (len(least) - done))
        widths[place] += added
        spare -= added
    return widths
