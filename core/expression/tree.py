"""The parsed form of an expression: nodes, operations and the error that refuses one."""

from dataclasses import dataclass
from enum import IntEnum

from gnomon.core.fields import ContractError

__all__ = ["ExpressionError", "ExpressionNode", "Operation"]


class ExpressionError(ContractError):
    """An expression is refused; the message has the character and the reason."""


class Operation(IntEnum):
    """The interpreter's operations; the numbers are those of `evaluation.pxd`."""

    PUSH_FIELD = 0
    PUSH_CONSTANT = 1
    ADD = 2
    SUBTRACT = 3
    MULTIPLY = 4
    DIVIDE = 5
    NEGATE = 6
    ABSOLUTE = 7
    LOGARITHM = 8
    MINIMUM = 9
    MAXIMUM = 10
    LESS = 11
    LESS_EQUAL = 12
    GREATER = 13
    GREATER_EQUAL = 14
    EQUAL = 15
    NOT_EQUAL = 16
    AND = 17
    OR = 18
    NOT = 19
    IS_MISSING = 20
    IS_IN = 21


@dataclass(frozen=True, slots=True)
class ExpressionNode:
    """One operation of a parsed expression over its `children`.

    `type` is "number", "logical", "text" (a literal not yet turned into a code), "free" (a field
    of which only `is missing` can be tested), or the allowed values of a category.
    """

    operation: Operation
    type: str | tuple[object, ...]
    children: tuple["ExpressionNode", ...] = ()
    index: int = -1
    constants: tuple[float, ...] = ()
    text: str = ""

    @property
    def depth(self) -> int:
        """How many values the stack holds at most while this is evaluated."""
        return max((place + child.depth for place, child in enumerate(self.children)), default=1)
