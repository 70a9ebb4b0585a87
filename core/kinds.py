"""The types that describe fields: `Kind`, `Policy`, and the error that refuses one."""

from enum import StrEnum

__all__ = ["LARGEST_WHOLE", "ContractError", "Kind", "Policy"]

#: Rows hold numbers as float64. Beyond this, two whole numbers can share one float64, so that a
#: larger value may already be the neighbour of what was meant: no integer field takes it.
LARGEST_WHOLE = 2**53 - 1


class ContractError(ValueError):
    """A contract, field, rule or packing contradicts itself; the message says what is right."""


class Kind(StrEnum):
    """What a field holds. A category is a text out of a known list; a vector has a fixed shape."""

    BOOL = "bool"
    INT8 = "int8"
    INT16 = "int16"
    INT32 = "int32"
    INT64 = "int64"
    UINT8 = "uint8"
    UINT16 = "uint16"
    UINT32 = "uint32"
    UINT64 = "uint64"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    STRING = "string"
    CATEGORY = "category"
    VECTOR = "vector"
    TENSOR = "tensor"

    @property
    def is_integer(self) -> bool:
        """Whether values are whole numbers of a fixed width."""
        return self.value.startswith(("int", "uint"))

    @property
    def is_float(self) -> bool:
        """Whether values are floating-point numbers."""
        return self.value.startswith("float")

    @property
    def is_number(self) -> bool:
        """Whether values can be ordered and counted with; a bool cannot."""
        return self.is_integer or self.is_float

    @property
    def is_text(self) -> bool:
        """Whether values come in as text."""
        return self in (Kind.STRING, Kind.CATEGORY)

    @property
    def is_vector(self) -> bool:
        """Whether a value is many numbers of a fixed shape (float32)."""
        return self in (Kind.VECTOR, Kind.TENSOR)

    @property
    def integer_range(self) -> tuple[int, int]:
        """The least and the greatest whole number that a field of this kind takes.

        It is the range of the integer type, within ±`LARGEST_WHOLE`.
        """
        bits = int(self.value.lstrip("uint"))
        if self.value.startswith("u"):
            return 0, min(2**bits - 1, LARGEST_WHOLE)
        return max(-(2 ** (bits - 1)), -LARGEST_WHOLE), min(2 ** (bits - 1) - 1, LARGEST_WHOLE)


class Policy(StrEnum):
    """What is done about a violation: refuse the row, repair the value, or only report it."""

    REJECT = "reject"
    CLIP = "clip"
    IMPUTE = "impute"
    FLAG = "flag"
