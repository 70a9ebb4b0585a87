"""Integers to bits and back, by Rice codes whose parameter is chosen for each group."""

import numpy as np
from numpy.typing import NDArray

class CorruptWindow(ValueError):
    """The bytes are not those of a window, or were damaged or cut short."""

class BitWriter:
    """Collects groups of integers as bits."""

    def __init__(self) -> None: ...
    def write(self, values: NDArray[np.int64]) -> None:
        """Append one group; its length is not written. An empty group takes no bits."""

    def finish(self) -> bytes:
        """Fill the last byte with zeros and give all."""

class BitReader:
    """Reads the groups back, in the same order and of the same lengths."""

    def __init__(self, data: bytes | memoryview) -> None: ...
    def read(self, count: int) -> NDArray[np.int64]:
        """Return the next group; raises `CorruptWindow` if the bytes end too soon."""

    def read_each(self, count: int) -> NDArray[np.int64]:
        """Return the next groups, which have one number each; raises as `read`."""

    def finish(self) -> None:
        """Raise `CorruptWindow` if anything is left over."""
