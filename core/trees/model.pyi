from typing import Any

import numpy as np
from numpy.typing import NDArray

class TreeFileError(ValueError):
    """The bytes are no model of trees."""

def log_float32(number: float) -> float:
    """Return the logarithm of a float32 as the C library computes it, and so XGBoost."""

class TreeModel:
    """A model of decision trees. Threads may share it; nothing changes after it was opened.

    `file` is the bytes of a file of the format that `gnomon.core.trees.layout` writes; they are
    read in place, and all of them are checked first. `takes_missing` says whether the trainer's
    model takes NaN, `is_float32` whether answers are float32, `has_link` whether answers differ
    from raw scores, and `text` is the description that the importer wrote.

    Raises:
        TreeFileError: the file is malformed; the message says where.
        MemoryError: there is no memory for the table of groups.
    """

    features: int
    outputs: int
    answers: int
    scratch_size: int

    def __init__(self, file: Any) -> None: ...
    @property
    def text(self) -> bytes: ...
    @property
    def tree_count(self) -> int: ...
    @property
    def node_count(self) -> int: ...
    @property
    def is_float32(self) -> bool: ...
    @property
    def takes_missing(self) -> bool: ...
    @property
    def has_link(self) -> bool: ...
    def scores(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the raw scores of `(rows, features)` numbers, as `(rows, outputs)`.

        Raises:
            ValueError: the rows are not C-contiguous float64, or have another width.
        """

    def scores_alone(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what `scores` does, of shape `(rows, outputs)`; each row is run by itself.

        Raises:
            ValueError: as `scores`.
        """

    def predict(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the scores after the model's link function, as `(rows, answers)`.

        Raises:
            ValueError: as `scores`.
        """
