"""Splits a byte stream that arrives in pieces into lines of limited length."""

from collections.abc import Iterator
from typing import NamedTuple


class Line(NamedTuple):
    """A line without its end; `after` is the offset of the next line in the stream."""

    data: bytes
    after: int
    is_whole: bool


class LineSplitter:
    """Takes pieces, yields lines; of a line that is too long, only the beginning is kept.

    >>> splitter = LineSplitter(4)
    >>> [line.data for line in splitter.feed(b"one\\ntoo long\\ntw")]
    [b'one', b'too ']
    >>> splitter.rest()
    Line(data=b'tw', after=15, is_whole=True)
    """

    def __init__(self, limit: int, begin: int = 0) -> None:
        self._limit = limit
        self._taken = begin
        self._held = bytearray()
        self._length = 0

    def feed(self, piece: bytes) -> Iterator[Line]:
        """Yield the lines that this piece completes; use all before feeding the next piece."""
        at = 0
        while (end := piece.find(b"\n", at)) >= 0:
            self._hold(piece[at:end])
            self._taken += 1
            yield self._take()
            at = end + 1
        self._hold(piece[at:])

    def rest(self) -> Line | None:
        """Return the last line if the stream ended without an end of line."""
        return self._take() if self._length else None

    def _hold(self, data: bytes) -> None:
        self._length += len(data)
        self._taken += len(data)
        self._held += data[: self._limit - len(self._held)]

    def _take(self) -> Line:
        is_whole = self._length <= self._limit
        line = Line(bytes(self._held), self._taken, is_whole)
        self._held.clear()
        self._length = 0
        return line
