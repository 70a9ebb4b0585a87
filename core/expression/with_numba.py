"""Conditions compiled by Numba if it is installed (extra `rules`); optional.

The answers are those of the interpreter, bit for bit; a batch job that checks long rules over
hundreds of millions of rows is what this is for.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnomon.core.expression.expression import Expression
from gnomon.core.expression.tree import ExpressionNode, Operation
from gnomon.core.row import Columns

__all__ = ["compile_with_numba"]

BINARY = {
    Operation.ADD: "+",
    Operation.SUBTRACT: "-",
    Operation.MULTIPLY: "*",
    Operation.DIVIDE: "/",
    Operation.LESS: "<",
    Operation.LESS_EQUAL: "<=",
    Operation.GREATER: ">",
    Operation.GREATER_EQUAL: ">=",
    Operation.EQUAL: "==",
    Operation.NOT_EQUAL: "!=",
}


def compile_with_numba(expression: Expression) -> Callable[[Columns], NDArray[np.float64]]:
    """Return a function from columns to 1 true, 0 false, NaN unknown for each row.

    Raises `ImportError` if Numba is not installed.
    """
    import numba

    lines: list[str] = []
    result = _statement(expression.root, lines)
    operands = expression.compile().operands()
    arguments = ", ".join(f"column{index}" for index in operands)
    body = "\n        ".join(lines)
    text = (
        f"def kernel(answer, {arguments}):\n"
        f"    for row in range(answer.shape[0]):\n        {body}\n        answer[row] = {result}\n"
    )
    scope: dict[str, Any] = {"math": __import__("math"), "nan": float("nan")}
    # The text is made from the typed nodes, never from what the user wrote.
    exec(text, scope)  # noqa: S102
    kernel = numba.njit(error_model="numpy")(scope["kernel"])

    def evaluate(columns: Columns) -> NDArray[np.float64]:
        answer = np.empty(columns.rows)
        kernel(answer, *(columns.values(index) for index in operands))
        return answer

    return evaluate


def _statement(node: ExpressionNode, lines: list[str]) -> str:
    """Write the assignments for a node and return the variable that holds it."""
    children = [_statement(child, lines) for child in node.children]
    name = f"value{len(lines)}"
    lines.append(f"{name} = {_formula(node, children)}")
    return name


def _formula(node: ExpressionNode, children: list[str]) -> str:
    operation = node.operation
    if operation is Operation.PUSH_FIELD:
        return f"column{node.index}[row]"
    if operation is Operation.PUSH_CONSTANT:
        return repr(node.constants[0])
    first, second = children[0], children[-1]
    if operation is Operation.IS_IN:
        found = " or ".join(f"{first} == {member!r}" for member in node.constants)
        return f"nan if {first} != {first} else (1.0 if {found} else 0.0)"
    formulas = {
        Operation.NEGATE: f"-{first}",
        Operation.ABSOLUTE: f"abs({first})",
        Operation.LOGARITHM: f"(math.log({first}) if {first} >= 0.0 else nan)",
        Operation.NOT: f"1.0 - {first}",
        Operation.IS_MISSING: f"1.0 if {first} != {first} else 0.0",
        Operation.AND: f"0.0 if {first} == 0.0 or {second} == 0.0 else {first} * {second}",
        Operation.OR: f"1.0 if {first} == 1.0 or {second} == 1.0 else {first} + {second}",
    }
    if operation in formulas:
        return formulas[operation]
    unknown = f"nan if {first} != {first} or {second} != {second} else"
    if operation is Operation.MINIMUM:
        return f"{unknown} ({second} if {second} < {first} else {first})"
    if operation is Operation.MAXIMUM:
        return f"{unknown} ({second} if {second} > {first} else {first})"
    if node.type == "number":
        return f"{first} {BINARY[operation]} {second}"
    return f"{unknown} (1.0 if {first} {BINARY[operation]} {second} else 0.0)"
