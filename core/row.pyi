"""Checked rows: `Row` is one reusable row, `Columns` are many rows as typed buffers."""

from collections.abc import Collection, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Columns", "Row"]

class Row:
    """One checked row, overwritten by each `Contract.check_row`; not shared between threads.

    `values` has one float64 a field: NaN if missing, a category's code (-2 if it is not
    known), the length of a free text, NaN for a vector. `status` has one uint8 a field, telling
    what came in whatever the policy made of it: 0 OK, 1 missing, 2 invalid, 3 unseen category.
    `rules` has the code of the first rule that each field broke, 0 for none, then one code for
    each condition over several fields. `vectors` has the elements of all vector fields (float32),
    one field after the other.
    """

    fields: int
    vector_size: int
    conditions: int
    values: NDArray[np.float64]
    status: NDArray[np.uint8]
    rules: NDArray[np.uint8]
    vectors: NDArray[np.float32]
    def __init__(self, fields: int, vector_size: int = 0, conditions: int = 0) -> None: ...
    def __len__(self) -> int: ...

class Columns:
    """Checked rows in columns: one contiguous array a field, in the field's own type.

    Numeric fields keep their dtype; fields in `codes` are int32 (categories as codes, free texts
    as lengths, -1 missing, -2 unseen); vectors are float32 of shape (rows, *shape). Whole numbers
    and bools among which some are missing come as float64 with NaN. A status array (uint8, as in
    `Row.status`) is given only if the array alone does not show it.

    Raises `ValueError` for arrays that are not contiguous, of another length or dtype.
    """

    fields: int
    rows: int
    def __init__(
        self,
        arrays: Iterable[NDArray[Any]],
        statuses: Iterable[NDArray[np.uint8] | None] | None = None,
        codes: Collection[int] = (),
    ) -> None: ...
    def __len__(self) -> int: ...
    def array(self, field: int) -> NDArray[Any]:
        """Return the field's buffer as it is."""

    def mask(self, field: int) -> NDArray[np.uint8] | None:
        """Return the field's status array, or None if the values alone show it."""

    def values(self, field: int) -> NDArray[np.float64]:
        """Return a new array of what `Row.values` would hold for each row."""

    def status(self, field: int) -> NDArray[np.uint8]:
        """Return a new array of what `Row.status` would hold for each row."""
