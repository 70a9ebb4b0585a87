"""Names of columns: the fields that they become, and whether two sides have them in one order."""

import re
from collections.abc import Sequence

__all__ = ["describe_column", "field_names", "first_misplaced"]

#: The longest name of a field.
_LONGEST = 128
_OTHER_CHARACTERS = re.compile(r"[^A-Za-z0-9_.-]+")
_START = re.compile(r"[A-Za-z_]")


def field_names(columns: Sequence[str]) -> list[str]:
    """Return a name of a field for each column: its own if that is one, else one made from it.

    Letters, digits, `_`, `.` and `-` are kept; the names differ.

    >>> field_names(["age", "mean radius", "mean/radius", "2nd"])
    ['age', 'mean_radius', 'mean_radius_2', '_2nd']
    """
    own = {column for column in columns if _plain(column) == column}
    names: list[str] = []
    given: set[str] = set()
    taken = set(own)
    for column in columns:
        name = _plain(column)
        if name != column or name in given:
            number, stem = 2, name
            while name in taken:
                ending = f"_{number}"
                name, number = stem[: _LONGEST - len(ending)] + ending, number + 1
        taken.add(name)
        names.append(name)
        given.add(name)
    return names


def describe_column(column: str) -> str:
    """Return the description of a field whose column has another name."""
    return f"column {column!r}"


def _plain(column: str) -> str:
    name = _OTHER_CHARACTERS.sub("_", column) or "_"
    return (name if _START.match(name) else f"_{name}")[:_LONGEST]


def first_misplaced(names: Sequence[str], known: Sequence[str]) -> str | None:
    """Return the first of `names` that `known` has at another place only, or None.

    Names that the other side does not have say nothing: a column may be renamed.

    >>> first_misplaced(["a", "b"], ["b", "a"])
    'a'
    >>> first_misplaced(["a", "renamed"], ["a", "b"]) is None
    True
    """
    places = {name: place for place, name in enumerate(known)}
    for place, name in enumerate(names):
        if places.get(name, place) != place:
            return name
    return None
