"""The language of conditions and calculations, parsed from Python's syntax by a whitelist.

    arrival > departure and distance > 0
    0 < speed <= 340 or speed is missing
    carrier in {"UA", "AA"} and not cancelled
    abs(log(air_time / distance)) < max(2, delay)

There are numbers, logicals (bool fields, comparisons) and categories. Comparisons may be chained;
arithmetic is `+ - * /`; functions are `abs`, `log`, `min`, `max`; `in` and `not in` take a set,
list or tuple of literals; `is missing` and `is not missing` test whether a field has a value.

**What is missing.** A comparison or calculation with a missing operand is unknown, `not` of it
too; `and` is false as soon as one side is false, `or` true as soon as one side is true, whatever
is unknown beside it. A rule is broken only if its expression is false: one that is
unknown does not apply, and passes, as a CHECK does in SQL. `is missing` is never unknown.

Numbers are float64 and follow IEEE 754: `1 / 0` is infinite; what is not a number (`0 / 0`,
`log(-1)`) counts as missing. A category that is not among a field's allowed ones equals nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from gnomon.core.expression.evaluation import CompiledProgram
from gnomon.core.expression.parsing import parse
from gnomon.core.expression.tree import ExpressionError, ExpressionNode, Operation
from gnomon.core.fields import Field

__all__ = ["Expression", "ExpressionError", "Formula"]


@dataclass(frozen=True)
class Expression:
    """A condition over `fields`; raises `ExpressionError` if it is wrong.

    >>> from gnomon.core.fields import Field, Kind
    >>> speed = Field(name="speed", kind=Kind.FLOAT64)
    >>> Expression("0 < speed < 340", (speed,)).operands
    ('speed',)
    """

    source: str
    fields: Sequence[Field]
    root: ExpressionNode = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", parse(self.source, self.fields))

    @property
    def operands(self) -> tuple[str, ...]:
        """The names of the fields that the expression reads, in the order of the contract."""
        return tuple(self.fields[index].name for index in self.compile().operands())

    def compile(self) -> CompiledProgram:
        """Flatten to the interpreter's postfix form."""
        return _compiled(self.root)


@dataclass(frozen=True)
class Formula:
    """A calculation over `fields` that gives a number; raises `ExpressionError` if it is wrong.

    What comes out of a missing operand is NaN.

    >>> from gnomon.core.fields import Field, Kind
    >>> import numpy as np
    >>> distance = Field(name="distance", kind=Kind.FLOAT64)
    >>> Formula("distance / 7.5 + 20", (distance,)).compile().evaluate_row(np.array([75.0]))
    30.0
    """

    source: str
    fields: Sequence[Field]
    root: ExpressionNode = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", parse(self.source, self.fields, "number"))

    def compile(self) -> CompiledProgram:
        """Flatten to the interpreter's postfix form."""
        return _compiled(self.root)


def _compiled(root: ExpressionNode) -> CompiledProgram:
    instructions: list[tuple[int, int, int]] = []
    constants: list[float] = []
    _flatten(root, instructions, constants)
    return CompiledProgram(instructions, constants, root.depth)


def _flatten(
    node: ExpressionNode, instructions: list[tuple[int, int, int]], constants: list[float]
) -> None:
    for child in node.children:
        _flatten(child, instructions, constants)
    argument = len(node.constants) if node.operation is Operation.IS_IN else node.index
    instructions.append((node.operation, argument, len(constants)))
    constants.extend(node.constants)
