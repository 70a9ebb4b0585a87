"""Conditions over several fields in plain Python, evaluated from their syntax tree.

Nothing here is shared with `gnomon.core`.
"""

import ast
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

__all__ = ["condition"]


def condition(source: str, known: Mapping[str, Any]) -> bool | None:
    """Evaluate a condition over plain values, None for missing; None if it is unknown."""
    result = _evaluate(ast.parse(source, mode="eval").body, known)
    return None if result is None else bool(result)


def _evaluate(tree: ast.expr, known: Mapping[str, Any]) -> Any:
    match tree:
        case ast.Constant(value=value):
            return float(value) if type(value) is int else value
        case ast.Name(id=name):
            return known[name]
        case ast.BoolOp(op=op, values=parts):
            results = [_evaluate(part, known) for part in parts]
            decisive = isinstance(op, ast.Or)
            if decisive in results:
                return decisive
            return None if None in results else not decisive
        case ast.UnaryOp(op=op, operand=operand):
            value = _evaluate(operand, known)
            if value is None:
                return None
            return not value if isinstance(op, ast.Not) else -value
        case ast.Compare(left=left, ops=ops, comparators=rest):
            links = zip([left, *rest], ops, rest, strict=False)
            answers = [_compare(first, op, second, known) for first, op, second in links]
            return False if False in answers else None if None in answers else True
        case ast.BinOp(left=left, op=op, right=right):
            return _calculate(op, _evaluate(left, known), _evaluate(right, known))
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return _call(name, [_evaluate(argument, known) for argument in arguments])
    raise AssertionError(ast.dump(tree))


def _compare(left: ast.expr, op: ast.cmpop, right: ast.expr, known: Mapping[str, Any]) -> Any:
    first = _evaluate(left, known)
    if isinstance(op, ast.Is | ast.IsNot):
        return (first is None) == isinstance(op, ast.Is)
    if isinstance(op, ast.In | ast.NotIn):
        if first is None:
            return None
        assert isinstance(right, ast.Set | ast.List | ast.Tuple)  # noqa: S101
        members = [_evaluate(member, known) for member in right.elts]
        return (first in members) == isinstance(op, ast.In)
    second = _evaluate(right, known)
    if first is None or second is None:
        return None
    comparisons: dict[type[ast.cmpop], Callable[[], Any]] = {
        ast.Lt: lambda: first < second,
        ast.LtE: lambda: first <= second,
        ast.Gt: lambda: first > second,
        ast.GtE: lambda: first >= second,
        ast.Eq: lambda: first == second,
        ast.NotEq: lambda: first != second,
    }
    return comparisons[type(op)]()


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _calculate(op: ast.operator, first: float | None, second: float | None) -> float | None:
    if first is None or second is None:
        return None
    with np.errstate(all="ignore"):
        left, right = np.float64(first), np.float64(second)
        results: dict[type[ast.operator], Callable[[], Any]] = {
            ast.Add: lambda: left + right,
            ast.Sub: lambda: left - right,
            ast.Mult: lambda: left * right,
            ast.Div: lambda: left / right,
        }
        return _number(float(results[type(op)]()))


def _call(name: str, arguments: list[float | None]) -> float | None:
    known = [argument for argument in arguments if argument is not None]
    if len(known) < len(arguments):
        return None
    if name == "abs":
        return abs(known[0])
    if name == "log":
        if known[0] == 0:
            return -math.inf
        return None if known[0] < 0 else math.log(known[0])
    return min(known) if name == "min" else max(known)
