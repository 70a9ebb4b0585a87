"""UBJSON (draft 12), as much of it as XGBoost writes.

All is big-endian. Lengths are checked against what is left of the file before anything is made.
"""

import struct
from typing import Any

import numpy as np

__all__ = ["decode_ubjson"]

_NUMBERS = {"i": ">b", "U": ">B", "I": ">h", "l": ">i", "L": ">q", "d": ">f", "D": ">d"}
_LITERALS = {"Z": None, "T": True, "F": False}
_DEPTH = 32


def decode_ubjson(content: bytes) -> Any:
    """Return the value of a document; typed arrays are arrays of NumPy.

    Raises:
        KeyError, IndexError: the document is malformed or nested too deeply.
    """
    reader = _Reader(content)
    return reader.value(reader.marker(), 0)


class _Reader:
    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def marker(self) -> str:
        return chr(self._take(1)[0])

    def value(self, marker: str, depth: int) -> Any:
        if depth > _DEPTH:
            raise IndexError("nested too deeply")
        if marker in _NUMBERS:
            return self._number(marker)
        if marker == "S":
            return self._take(self._length()).decode("utf-8", "replace")
        if marker == "{":
            return self._object(depth + 1)
        if marker == "[":
            return self._array(depth + 1)
        return _LITERALS[marker]

    def _take(self, size: int) -> bytes:
        if not 0 <= size <= len(self._content) - self._at:
            raise IndexError(f"the file ends within {size} bytes at {self._at}")
        self._at += size
        return self._content[self._at - size : self._at]

    def _number(self, marker: str) -> Any:
        kind = _NUMBERS[marker]
        return struct.unpack(kind, self._take(struct.calcsize(kind)))[0]

    def _length(self) -> int:
        return int(self._number(self.marker()))

    def _object(self, depth: int) -> dict[str, Any]:
        made = {}
        while (marker := self.marker()) != "}":
            key = self._take(int(self._number(marker))).decode("utf-8", "replace")
            made[key] = self.value(self.marker(), depth)
        return made

    def _array(self, depth: int) -> Any:
        kind, count = None, None
        marker = self.marker()
        if marker == "$":
            kind, marker = self.marker(), self.marker()
        if marker == "#":
            count = self._length()
            if kind is not None:
                dtype = np.dtype(_NUMBERS[kind])
                return np.frombuffer(self._take(count * dtype.itemsize), dtype)
            self._take(0 if 0 <= count <= len(self._content) - self._at else -1)
            return [self.value(self.marker(), depth) for _ in range(count)]
        made = []
        while marker != "]":
            made.append(self.value(marker, depth))
            marker = self.marker()
        return made
