"""The settings of one column, unchecked: what `Field` adds checks to."""

import math
from dataclasses import dataclass

from gnomon.core.kinds import Kind, Policy

__all__ = ["FieldSettings", "Number", "Scalar"]

Number = float | int
Scalar = float | int | str | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldSettings:
    """The attributes of one column; `Field` documents each of them."""

    name: str
    kind: Kind
    required: bool = True
    nullable: bool = False
    missing_allowance: float = 1.0
    minimum: Number | None = None
    maximum: Number | None = None
    minimum_open: bool = False
    maximum_open: bool = False
    allowed: tuple[Scalar, ...] | None = None
    minimum_length: int | None = None
    maximum_length: int | None = None
    pattern: str | None = None
    integer: bool = False
    finite: bool = True
    shape: tuple[int, ...] = ()
    policy: Policy = Policy.REJECT
    impute: Scalar | None = None
    monitored: bool = True
    private: bool = False
    unit: str | None = None
    description: str = ""

    @property
    def size(self) -> int:
        """How many numbers one value has: 1, or the product of `shape`."""
        return math.prod(self.shape)

    @property
    def integer_bounds(self) -> tuple[int, int]:
        """The least and the greatest number that an integer kind can hold within the bounds."""
        least, greatest = self.kind.integer_range
        if self.minimum is not None:
            bound = math.ceil(self.minimum)
            least = max(least, bound + (self.minimum_open and bound == self.minimum))
        if self.maximum is not None:
            bound = math.floor(self.maximum)
            greatest = min(greatest, bound - (self.maximum_open and bound == self.maximum))
        return least, greatest
