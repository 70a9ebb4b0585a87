"""Refuses LiteRT files that take data from outside of the file.

A file may say where a buffer's bytes begin and how many they are. LiteRT adds the two in 64 bits
and compares the sum with the size of the file, so a sum that wraps around passes: the model then
reads the memory before the file, and gives it away in its answers. A file may also name other
files for its weights. Looked at are all buffers, operators and tensors.

A LiteRT file is a FlatBuffer: little-endian tables, each with a table of its fields' offsets.
"""

import struct
from collections.abc import Iterator

from gnomon.runtime.errors import EngineError

__all__ = ["check_self_contained"]

_IDENTIFIER = b"TFL3"
#: Numbers of fields, by the schema of LiteRT (version 3).
_SUBGRAPHS, _BUFFERS, _EXTERNAL_GROUPS, _EXTERNAL_BUFFERS = 2, 4, 8, 9
_BUFFER_OFFSET = 1
_TENSORS, _OPERATORS = 0, 3
_TENSOR_EXTERNAL_BUFFER = 10
_OPERATOR_OPTIONS_OFFSET = 9


def check_self_contained(model: bytes, reference: str) -> None:
    """Look through a LiteRT file before anything loads it; no data are read or copied.

    Raises:
        EngineError: a buffer is outside of the file, or the file is not a LiteRT model.
    """
    try:
        outside = _find_outside(_Tables(model))
    except (struct.error, ValueError) as error:
        raise EngineError(f"{reference}: the file is not a LiteRT model: {error}") from error
    if outside:
        raise EngineError(
            f"{reference}: {outside} is not in the model's file of {len(model)} bytes; right would "
            "be one file with all of the model's data in it"
        )


class _Tables:
    """Reads tables of a file; every place is checked to be in it."""

    def __init__(self, data: bytes) -> None:
        if data[4:8] != _IDENTIFIER:
            raise ValueError(f"bytes 4 to 8 are {data[4:8]!r}, expected {_IDENTIFIER!r}")
        self.size = len(data)
        self._data = data
        # Tables may be shared, so a file of n bytes can list far more than n of them.
        self._left = len(data)
        self.root = self.follow(0)

    def read(self, kind: str, place: int) -> int:
        """Return the number of that `struct` kind at a place."""
        if place < 0:
            raise ValueError(f"place {place} is before the file's start")
        (number,) = struct.unpack_from(kind, self._data, place)
        return int(number)

    def follow(self, place: int) -> int:
        """Return the place that the offset at a place points to."""
        return place + self.read("<I", place)

    def field(self, table: int, number: int) -> int | None:
        """Return the place of a table's field, or None if the table has none."""
        fields = table - self.read("<i", table)
        slot = 4 + 2 * number
        if slot + 2 > self.read("<H", fields):
            return None
        offset = self.read("<H", fields + slot)
        return table + offset if offset else None

    def number(self, table: int, number: int, kind: str) -> int:
        """Return a field of numbers, 0 if the table has none."""
        place = self.field(table, number)
        return 0 if place is None else self.read(kind, place)

    def tables(self, table: int, number: int) -> Iterator[int]:
        """Yield the tables of a field that lists some."""
        place = self.field(table, number)
        if place is None:
            return
        start = self.follow(place)
        for index in range(self.read("<I", start)):
            self._left -= 1
            if self._left < 0:
                raise ValueError("it lists more tables than it has bytes")
            yield self.follow(start + 4 + 4 * index)


def _find_outside(file: _Tables) -> str | None:
    """Return what is outside of a file, or None."""
    for number in (_EXTERNAL_GROUPS, _EXTERNAL_BUFFERS):
        if any(True for _ in file.tables(file.root, number)):
            return "an external buffer"
    for index, buffer in enumerate(file.tables(file.root, _BUFFERS)):
        if not _is_inside(file, buffer, _BUFFER_OFFSET):
            return f"buffer {index}"
    for graph in file.tables(file.root, _SUBGRAPHS):
        for index, operator in enumerate(file.tables(graph, _OPERATORS)):
            if not _is_inside(file, operator, _OPERATOR_OPTIONS_OFFSET):
                return f"the options of operator {index}"
        for index, tensor in enumerate(file.tables(graph, _TENSORS)):
            if file.number(tensor, _TENSOR_EXTERNAL_BUFFER, "<I"):
                return f"the buffer of tensor {index}"
    return None


def _is_inside(file: _Tables, table: int, number: int) -> bool:
    """Whether what a table says to begin at one field, with the size in the next, is in a file."""
    offset = file.number(table, number, "<Q")
    return offset + file.number(table, number + 1, "<Q") <= file.size
