"""A fixed table from texts to their positions in a list, readable without the GIL."""

from collections.abc import Iterable

__all__ = ["StringIndex"]

class StringIndex:
    """The code of a text is its position in `texts`. Raises `ValueError` if one is there twice."""

    def __init__(self, texts: Iterable[str]) -> None: ...
    def code(self, text: str) -> int | None:
        """Return the position of `text`, or None."""

    def __len__(self) -> int: ...
