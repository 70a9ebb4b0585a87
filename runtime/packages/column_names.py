"""Column names that two sides have: a matrix is filled by place, so the places must agree."""

from collections.abc import Sequence

__all__ = ["first_misplaced"]


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
