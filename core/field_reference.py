"""One field, and one pair of fields, of the training data: cells, counts and moments.

The cells of a numeric field with edges e₀ < … < e_K are 0 (below e₀), 1…K (bin i is
[eᵢ₋₁, eᵢ), the last one closed), K+1 (above e_K), K+2 (missing) and K+3 (invalid).
The cells of a category with C known levels are 0…C−1, C (unseen), C+1 (missing), C+2 (invalid).
"""

import hashlib
import json
import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

__all__ = ["PAIR_CELLS", "FieldReference", "Kind", "PairReference", "fingerprint"]

Kind = Literal["numeric", "category"]

PAIR_CELLS = 3
"""A pair's cells: 0 concordant, 1 discordant, 2 incomplete (one of the two is absent)."""


def fingerprint(*parts: object) -> str:
    """Return 16 hexadecimal digits that are equal only for equal `parts`."""
    text = json.dumps(parts, separators=(",", ":"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class FieldReference:
    """One field of the training data: its cells and how many rows fell in each.

    Raises `ValueError` when edges, categories and counts do not fit together.

    >>> age = FieldReference("age", "numeric", edges=(0.0, 18.0, 65.0), counts=(0, 3, 7, 0, 1, 0))
    >>> age.bins, age.cells, age.missing_cell
    (2, 6, 4)
    """

    name: str
    kind: Kind
    edges: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()
    design_effect: float = 1.0
    """How much more the means of natural blocks vary than those of independent rows; at least 1."""
    mean: float = 0.0
    variance: float = 0.0
    minimum: float = 0.0
    maximum: float = 0.0
    median: float = 0.0
    """Where the two halves of the present values meet."""
    tie_sign: float = 0.0
    """The sign, in [−1, 1], given to values equal to the median, so that the mean sign is 0."""
    monitored: bool = True
    unit: str = ""
    """Unit of the values by name or sign, empty if it is not known; no part of the layout."""

    def __post_init__(self) -> None:
        """Refuse what the kernels could not index."""
        where = f"reference of field {self.name!r}"
        if self.kind not in ("numeric", "category"):
            raise ValueError(f"{where}: kind is {self.kind!r}, expected 'numeric' or 'category'")
        if self.kind == "category" and self.edges:
            raise ValueError(f"{where}: a category has no edges")
        if self.kind == "numeric" and self.categories:
            raise ValueError(f"{where}: a numeric field has no categories")
        if len(self.edges) == 1 or not all(math.isfinite(edge) for edge in self.edges):
            raise ValueError(f"{where}: edges must be finite, and none or at least two")
        if any(low >= high for low, high in pairwise(self.edges)):
            raise ValueError(f"{where}: edges must increase strictly")
        if not self.counts:
            object.__setattr__(self, "counts", (0,) * self.cells)
        if len(self.counts) != self.cells or min(self.counts) < 0:
            raise ValueError(f"{where}: expected {self.cells} counts of at least 0")
        if not self.design_effect >= 1.0:
            raise ValueError(f"{where}: the design effect is {self.design_effect}, expected >= 1")

    @property
    def bins(self) -> int:
        """Number of bins between the edges (numeric) or of known categories."""
        if self.kind == "category":
            return len(self.categories)
        return max(len(self.edges) - 1, 0)

    @property
    def cells(self) -> int:
        """Number of cells."""
        return self.bins + (4 if self.kind == "numeric" else 3)

    @property
    def missing_cell(self) -> int:
        """Index of the cell of missing values."""
        return self.cells - 2

    @property
    def invalid_cell(self) -> int:
        """Index of the cell of invalid values."""
        return self.cells - 1

    @property
    def rows(self) -> int:
        """How many rows were counted."""
        return sum(self.counts)

    @property
    def layout(self) -> str:
        """Fingerprint of kind and cells: fields with equal layouts can be compared cell by cell."""
        return fingerprint(self.kind, [edge.hex() for edge in self.edges], self.categories)

    def cell_names(self) -> tuple[str, ...]:
        """Name each cell for people."""
        if self.kind == "category":
            return (*self.categories, "(unseen)", "(missing)", "(invalid)")
        if not self.edges:
            return ("(any)", "(none)", "(missing)", "(invalid)")
        bins = [f"[{low:g}, {high:g})" for low, high in pairwise(self.edges)]
        bins[-1] = bins[-1][:-1] + "]"
        below, above = f"< {self.edges[0]:g}", f"> {self.edges[-1]:g}"
        return (below, *bins, above, "(missing)", "(invalid)")


@dataclass(frozen=True, slots=True)
class PairReference:
    """How often two numeric fields are on the same side of their medians.

    `counts` are over the three cells: concordant, discordant, incomplete.
    """

    first: str
    second: str
    counts: tuple[int, int, int] = (0, 0, 0)
    design_effect: float = 1.0
    correlation: float = 0.0

    @property
    def name(self) -> str:
        """Name of the pair for people."""
        return f"{self.first} × {self.second}"
