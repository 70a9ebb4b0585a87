"""Reads a detector's state from front to back and refuses to read past its end."""

import math
import struct

import numpy as np
from numpy.typing import NDArray

LENGTH = struct.Struct("<I")


class StateReader:
    """Takes part after part of `data`; raises `ValueError` if one is cut short."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, size: int) -> bytes:
        """Return the next `count` bytes."""
        part = self._data[self._at : self._at + size]
        if len(part) != size:
            raise ValueError(f"ends after {len(self._data)} bytes, expected more")
        self._at += size
        return part

    def length(self) -> int:
        """Take a length of four bytes."""
        return int(LENGTH.unpack(self.take(LENGTH.size))[0])

    def sized(self) -> bytes:
        """Take bytes behind their length."""
        return self.take(self.length())

    def floats(self, *shape: int) -> NDArray[np.float64]:
        """Take a float64 array of this shape."""
        data = self.take(8 * math.prod(shape))
        return np.frombuffer(data, "<f8").reshape(shape).astype(np.float64)

    def finish(self) -> None:
        """Refuse what is left over."""
        if self._at != len(self._data):
            raise ValueError(f"{len(self._data) - self._at} bytes too many")
