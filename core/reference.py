"""What the training data looked like, cell by cell: the yardstick of windows and detectors.

The cells of a numeric field with edges e₀ < … < e_K are 0 (below e₀), 1…K (bin i is
[eᵢ₋₁, eᵢ), the last one closed), K+1 (above e_K), K+2 (missing) and K+3 (invalid).
The cells of a category with C known levels are 0…C−1, C (unseen), C+1 (missing), C+2 (invalid).
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

from gnomon.core.cells.layout import SideLayout, lay_out
from gnomon.core.cells.tally import Plan

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from gnomon.core.fields import Field
    from gnomon.core.row import Columns

Kind = Literal["numeric", "category"]

PAIR_CELLS = 3
"""A pair's cells: 0 concordant, 1 discordant, 2 incomplete (one of the two is absent)."""


class ReferenceMismatch(ValueError):
    """Two things counted against different references were to be put together."""


def fingerprint(*parts: object) -> str:
    """Give 16 hexadecimal digits that are equal only for equal `parts`."""
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
    """Unit of the values by name or sign, empty where it is not known; no part of the layout."""

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
    """How often two numeric fields lie on the same side of their medians.

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


@dataclass(frozen=True)
class Reference:
    """All fields of one side (inputs or outputs) of a package's training data, and chosen pairs."""

    fields: tuple[FieldReference, ...]
    rows: int = 0
    pairs: tuple[PairReference, ...] = ()
    block_rows: float = 0.0
    """Mean size of the natural blocks that the design effects were measured on; 0: none given."""

    def __post_init__(self) -> None:
        """Refuse names that stand twice and pairs of what is not numeric."""
        names = [one.name for one in self.fields]
        if len(set(names)) != len(names):
            raise ValueError("a reference holds each field once, got: " + ", ".join(names))
        numeric = {one.name for one in self.fields if one.kind == "numeric"}
        for pair in self.pairs:
            if pair.first == pair.second or not {pair.first, pair.second} <= numeric:
                raise ValueError(f"the pair {pair.name} must name two numeric fields")

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is derived: the loops' buffers hold addresses of this process."""
        return {name: getattr(self, name) for name in ("fields", "rows", "pairs", "block_rows")}

    def index(self, name: str) -> int:
        """Give the position of field `name`; raises `KeyError`."""
        for position, one in enumerate(self.fields):
            if one.name == name:
                return position
        raise KeyError(name)

    @cached_property
    def layout(self) -> str:
        """Fingerprint of all that a window's numbers depend on."""
        return fingerprint([_window_view(one) for one in self.fields], self._pair_names())

    @cached_property
    def window_layout(self) -> SideLayout:
        """Where a window over this reference keeps its counts."""
        return lay_out(self)

    @cached_property
    def window_plan(self) -> Plan:
        """The layout in the form that a window's loops read."""
        return Plan(self.window_layout, [one.edges for one in self.fields])

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the whole reference, counts included, as 64 hexadecimal digits."""
        text = json.dumps(self.to_dict(), separators=(",", ":"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def _pair_names(self) -> list[tuple[str, str]]:
        return [(pair.first, pair.second) for pair in self.pairs]

    def to_dict(self) -> dict[str, Any]:
        """Give what JSON can hold; floats survive it bit for bit."""
        return {
            "rows": self.rows,
            "block_rows": self.block_rows,
            "fields": [_without_defaults(one) for one in self.fields],
            "pairs": [_without_defaults(one) for one in self.pairs],
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> "Reference":
        """Read what `to_dict` gave; raises `ValueError` for anything else."""
        try:
            return cls(
                tuple(FieldReference(**_tuples(one)) for one in value["fields"]),
                int(value["rows"]),
                tuple(PairReference(**_tuples(one)) for one in value.get("pairs", ())),
                float(value.get("block_rows", 0.0)),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a reference: {error}") from error

    @classmethod
    def from_columns(
        cls,
        fields: "Sequence[Field]",
        columns: "Mapping[str, ArrayLike] | Columns",
        *,
        bins: int = 32,
        blocks: "ArrayLike | None" = None,
        pairs: "str | Sequence[tuple[str, str]]" = "auto",
    ) -> "Reference":
        """Describe training data.

        `columns` maps each field's name to its rows (numbers, with NaN or None for missing; texts
        for categories), or is what a contract's check gave. Numeric fields are cut into at most
        about `bins` quantile bins. `blocks` has the natural block (day) of each row; design
        effects are estimated from them. `pairs` are "auto" (all of up to 12 numeric fields, else
        the 66 most correlated), "all", "none", or pairs of names.

        Free texts are described by their length, vectors by whether they are present. A field
        that has no finite value gets no edges; a window then keeps a sketch of it.

        For data that does not fit in memory: build from a sample, count the rest in windows,
        merge these, and take the counts over with `with_counts`.

        Raises `ValueError` for columns that are missing or differ in length.
        """
        # The builder counts with a window, and a window is laid out by a reference.
        from gnomon.core.profiling.builder import build

        return build(fields, columns, bins=bins, blocks=blocks, pairs=pairs)

    def with_counts(
        self,
        counts: Sequence[Sequence[int]],
        pair_counts: Sequence[Sequence[int]] = (),
    ) -> "Reference":
        """Keep the layout and replace the counts, for example by those of merged windows.

        A layout can so come from a sample, and the counts from one pass in many processes.
        """
        fields = tuple(
            replace(one, counts=tuple(int(count) for count in cells))
            for one, cells in zip(self.fields, counts, strict=True)
        )
        pairs = self.pairs
        if pair_counts:
            pairs = tuple(
                replace(pair, counts=(int(same), int(other), int(incomplete)))
                for pair, (same, other, incomplete) in zip(pairs, pair_counts, strict=True)
            )
        rows = max((one.rows for one in fields), default=0)
        return replace(self, fields=fields, pairs=pairs, rows=rows)


def _window_view(one: FieldReference) -> list[object]:
    numbers = (one.mean, one.variance, one.minimum, one.maximum, one.median, one.tie_sign)
    return [one.name, one.layout, [float(number).hex() for number in numbers]]


def _without_defaults(one: FieldReference | PairReference) -> dict[str, Any]:
    return {
        key: list(entry) if isinstance(entry, tuple) else entry
        for key, entry in asdict(one).items()
        if entry not in ((), "") and not (key == "monitored" and entry)
    }


def _tuples(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(one) if isinstance(one, list) else one for key, one in entry.items()}
