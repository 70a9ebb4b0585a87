"""The loops of packing: features of one tensor, for one row or for columns."""

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from gnomon.core.row import Columns, Row

__all__ = ["TensorPacker"]

Feature = tuple[int, int, int, int, int, int, float]

class TensorPacker:
    """Fills one tensor; made by `gnomon.core.packing.Packing`, read by native code.

    A feature is (field, encoding, first column, columns, vector offset, 0, missing).
    """

    width: int
    fields: int
    vector_size: int
    def __init__(self, features: Sequence[Feature], type: int, width: int) -> None: ...
    def pack_row(self, row: Row, array: NDArray[Any]) -> None:
        """Fill an array of shape (1, width)."""

    def pack_columns(self, columns: Columns, array: NDArray[Any]) -> None:
        """Fill an array of shape (rows, width)."""
