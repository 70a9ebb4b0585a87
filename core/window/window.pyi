"""`Window`: what one package saw on one node over one interval, as counts that merge exactly."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gnomon.core.reference import Reference
from gnomon.core.row import Columns, Row
from gnomon.core.window.reading import Cells, Moments, Totals

ANSWERED_CODE: int
"""Outcome of `observe`: the model answered."""
REFUSED_CODE: int
"""Outcome of `observe`: the contract refused the row."""
FAILED_CODE: int
"""Outcome of `observe`: the engine failed and there was no fallback."""
FALLBACK_CODE: int
"""Outcome of `observe`: the fallback answered."""

class Window:
    """Counts of the inputs, and of the outputs if their reference is given, by their cells.

    Size is fixed and nothing is allocated while counting; all methods may be called from many
    threads. `rules` is the number of rule codes, 0 … rules − 1. `version` picks the loops: "auto",
    "base" (any processor) or "wide" (AVX2); all count the same. Fields are named or indexed.
    """

    rules: int
    def __init__(
        self,
        inputs: Reference,
        outputs: Reference | None = None,
        rules: int = 0,
        *,
        version: str = "auto",
    ) -> None: ...
    @property
    def inputs(self) -> Reference:
        """The reference of the inputs."""

    @property
    def outputs(self) -> Reference | None:
        """The reference of the outputs, if any."""

    def update_row(self, row: Row) -> None:
        """Count one row of inputs; raises `ValueError` if the number of fields differs."""

    def update_output_row(self, row: Row) -> None:
        """Count one row of outputs; raises `ValueError` if there is no such reference."""

    def update_columns(self, columns: Columns, violations: object = None) -> None:
        """Count rows of inputs, exactly as `update_row` would one by one.

        `violations` is what `count_violations` takes. Nothing is counted if it raises.
        """

    def update_output_columns(self, columns: Columns, violations: object = None) -> None:
        """Count rows of outputs, exactly as `update_output_row` would one by one."""

    def observe(self, outcome: int, latency_ns: int, rows: int = 1) -> None:
        """Count a call and its rows by outcome; answers and fallbacks enter the latency."""

    def count_violations(self, violations: ArrayLike | object) -> None:
        """Count rule codes: an integer array, or a contract's violations (their `rules`).

        Raises `ValueError` for a code that is not below `rules`.
        """

    def merge(self, other: Window) -> None:
        """Add the other window's counts: associative and commutative, bit for bit.

        Raises `ReferenceMismatch` for a window of another layout.
        """

    def copy(self) -> Window:
        """Return a window with the same counts."""

    def take(self) -> Window:
        """Return a window with the counts and reset this one, in one step under the lock."""

    def reset(self) -> None:
        """Set all counts to zero."""

    def to_bytes(self) -> bytes:
        """Return the compact form (see `gnomon.core.window.binary`); equal windows, equal bytes."""

    @staticmethod
    def from_bytes(
        inputs: Reference,
        outputs: Reference | None,
        data: bytes | bytearray | memoryview,
        rules: int = 0,
    ) -> Window:
        """Read what `to_bytes` wrote.

        Args:
            inputs: the reference that the inputs were counted against.
            outputs: that of the outputs, or None.
            data: the bytes.
            rules: the number of rule codes.

        Raises:
            CorruptWindow: the bytes are damaged.
            ReferenceMismatch: the window was counted against other references.
        """

    def read_totals(self) -> Totals:
        """Return rows, outcomes, latencies and violations as they are at one moment."""

    @property
    def rows(self) -> int:
        """Number of rows of inputs."""

    @property
    def output_rows(self) -> int:
        """Number of rows of outputs."""

    @property
    def outcomes(self) -> dict[str, int]:
        """Calls by outcome: answered, refused, failed, fallback."""

    @property
    def outcome_rows(self) -> dict[str, int]:
        """Rows by outcome."""

    @property
    def violations(self) -> NDArray[np.int64]:
        """Violations by rule code."""

    @property
    def latency_counts(self) -> NDArray[np.int64]:
        """Answers by the buckets of `gnomon.core.cells.latency`."""

    @property
    def nbytes(self) -> int:
        """Memory of all buffers, in bytes."""

    def latency(self, share: float) -> float | None:
        """Return the latency in ns that `share` of the answers did not exceed, within 1/32."""

    def read_cells(self) -> Cells:
        """Return the cells of all fields, pairs, outputs and output pairs at one moment.

        One copy of the window serves all; `cells` and its siblings make one each.
        """

    def cells(self, field: int | str) -> NDArray[np.int64]:
        """Return the cell counts of an input."""

    def output_cells(self, field: int | str) -> NDArray[np.int64]:
        """Return the cell counts of an output."""

    def pair_cells(self, pair: int) -> NDArray[np.int64]:
        """Return concordant, discordant and incomplete rows of a pair of inputs."""

    def output_pair_cells(self, pair: int) -> NDArray[np.int64]:
        """Return concordant, discordant and incomplete rows of a pair of outputs."""

    def moments(self, field: int | str) -> Moments:
        """Return count, mean, variance and extremes of a numeric input."""

    def output_moments(self, field: int | str) -> Moments:
        """Return count, mean, variance and extremes of a numeric output."""

    def correlation(self, pair: int) -> float:
        """Return the correlation of a pair of inputs; NaN if it has none."""

    def quantile(self, field: int | str, share: float) -> float:
        """Return a quantile of a numeric input, as close as its bins are."""

    def snapshot(self) -> dict[str, Any]:
        """Return everything as plain values that JSON can hold, for people."""

    def _read(self, outputs: bool = False) -> Any: ...
    def __eq__(self, other: object) -> bool: ...
    def __reduce__(self) -> tuple[Any, ...]: ...
