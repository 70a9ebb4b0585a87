"""What the training data looked like, cell by cell: the yardstick of windows and detectors."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnomon.core.cells.layout import SideLayout, lay_out
from gnomon.core.cells.side_counter import CountingPlan
from gnomon.core.field_reference import PAIR_CELLS, FieldReference, PairReference, fingerprint

__all__ = ["PAIR_CELLS", "FieldReference", "PairReference", "Reference", "ReferenceMismatch"]


class ReferenceMismatch(ValueError):
    """Two things counted against different references were to be put together."""


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
        """Return the position of field `name`; raises `KeyError`."""
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
        return lay_out(self.fields, self.pairs)

    @cached_property
    def cell_shares(self) -> NDArray[np.float64]:
        """Shares of the training rows by cell, those of each field one after the other."""
        counts = [np.array(one.counts, dtype=np.float64) for one in self.fields]
        return np.concatenate([one / max(one.sum(), 1.0) for one in counts] or [np.zeros(0)])

    @cached_property
    def window_plan(self) -> CountingPlan:
        """The layout in the form that a window's loops read."""
        return CountingPlan(self.window_layout, [one.edges for one in self.fields])

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the whole reference, counts included, as 64 hexadecimal digits."""
        text = json.dumps(self.to_dict(), separators=(",", ":"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def _pair_names(self) -> list[tuple[str, str]]:
        return [(pair.first, pair.second) for pair in self.pairs]

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold; floats survive it bit for bit."""
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
