"""Parses Python's syntax to typed nodes; syntax that is not listed is refused by position."""

import ast
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from gnomon.core.expression.tree import ExpressionError, ExpressionNode, Operation
from gnomon.core.fields import Field, Kind

__all__ = ["parse"]

MAXIMUM_LENGTH = 2000
MAXIMUM_DEPTH = 64

ARITHMETIC: dict[type[ast.AST], Operation] = {
    ast.Add: Operation.ADD,
    ast.Sub: Operation.SUBTRACT,
    ast.Mult: Operation.MULTIPLY,
    ast.Div: Operation.DIVIDE,
}
COMPARISONS: dict[type[ast.AST], Operation] = {
    ast.Lt: Operation.LESS,
    ast.LtE: Operation.LESS_EQUAL,
    ast.Gt: Operation.GREATER,
    ast.GtE: Operation.GREATER_EQUAL,
    ast.Eq: Operation.EQUAL,
    ast.NotEq: Operation.NOT_EQUAL,
}
FUNCTIONS = {
    "abs": Operation.ABSOLUTE,
    "log": Operation.LOGARITHM,
    "min": Operation.MINIMUM,
    "max": Operation.MAXIMUM,
}


def parse(source: str, fields: Sequence[Field], wanted: str = "logical") -> ExpressionNode:
    """Return the root of an expression over `fields`; `wanted` is its type: "logical" or "number".

    Raises:
        ExpressionError: it is not one.
    """
    return _Parser(source, fields).parse(wanted)


_WANTED = {
    "logical": "expected a condition, such as a comparison",
    "number": "expected a calculation, such as a sum",
}


class _Parser:
    def __init__(self, source: str, fields: Sequence[Field]) -> None:
        self.source = source
        self.fields = {field.name: (index, field) for index, field in enumerate(fields)}

    def parse(self, wanted: str) -> ExpressionNode:
        if len(self.source) > MAXIMUM_LENGTH:
            self.refuse(None, f"more than {MAXIMUM_LENGTH} characters")
        try:
            tree = ast.parse(self.source, mode="eval").body
            root = self.visit(tree)
        except SyntaxError as error:
            # What ends too early is reported with offset 0.
            self.refuse(error.offset or len(self.source) + 1, error.msg)
        except ExpressionError:
            raise
        except (ValueError, MemoryError, RecursionError) as error:
            self.refuse(None, str(error) or "nested too deeply")
        if root.type != wanted:
            self.refuse(tree, _WANTED[wanted])
        if not any(isinstance(part, ast.Name) for part in ast.walk(tree)):
            self.refuse(tree, "it reads no field")
        if root.depth > MAXIMUM_DEPTH:
            self.refuse(None, f"nested more than {MAXIMUM_DEPTH} deep")
        return root

    def refuse(self, where: ast.AST | int | None, reason: str) -> NoReturn:
        """Raise with the position, counted in characters from 1."""
        if isinstance(where, ast.AST):
            line = self.source.splitlines()[getattr(where, "lineno", 1) - 1]
            before = line.encode(errors="replace")[: getattr(where, "col_offset", 0)]
            where = len(before.decode(errors="replace")) + 1
        place = "" if where is None else f" at character {where}"
        raise ExpressionError(f"expression {self.source[:200]!r}{place}: {reason}")

    def visit(self, tree: ast.expr) -> ExpressionNode:
        handlers: dict[type[ast.expr], Callable[[Any], ExpressionNode]] = {
            ast.BoolOp: self.boolean,
            ast.UnaryOp: self.unary,
            ast.BinOp: self.arithmetic,
            ast.Compare: self.comparison,
            ast.Call: self.call,
            ast.Name: self.name,
            ast.Constant: self.constant,
        }
        handler = handlers.get(type(tree))
        if handler is None:
            self.refuse(tree, f"{type(tree).__name__} is not part of the language")
        return handler(tree)

    def want(self, tree: ast.expr, wanted: str) -> ExpressionNode:
        node = self.visit(tree)
        if node.type != wanted:
            self.refuse(tree, f"expected a {wanted} here, not {_describe(node)}")
        return node

    def boolean(self, tree: ast.BoolOp) -> ExpressionNode:
        operation = Operation.AND if isinstance(tree.op, ast.And) else Operation.OR
        return _fold(operation, "logical", [self.want(value, "logical") for value in tree.values])

    def unary(self, tree: ast.UnaryOp) -> ExpressionNode:
        if isinstance(tree.op, ast.Not):
            return ExpressionNode(Operation.NOT, "logical", (self.want(tree.operand, "logical"),))
        if not isinstance(tree.op, ast.USub):
            self.refuse(tree, f"{type(tree.op).__name__} is not part of the language; use - or not")
        return ExpressionNode(Operation.NEGATE, "number", (self.want(tree.operand, "number"),))

    def arithmetic(self, tree: ast.BinOp) -> ExpressionNode:
        operation = ARITHMETIC.get(type(tree.op))
        if operation is None:
            self.refuse(tree, f"{type(tree.op).__name__} is not part of the language; use + - * /")
        children = (self.want(tree.left, "number"), self.want(tree.right, "number"))
        return ExpressionNode(operation, "number", children)

    def call(self, tree: ast.Call) -> ExpressionNode:
        name = tree.func.id if isinstance(tree.func, ast.Name) else ""
        if name not in FUNCTIONS:
            self.refuse(tree, f"unknown function; there are {', '.join(FUNCTIONS)}")
        if tree.keywords or any(isinstance(value, ast.Starred) for value in tree.args):
            self.refuse(tree, f"{name} takes plain arguments only")
        single = name in ("abs", "log")
        if (single and len(tree.args) != 1) or (not single and len(tree.args) < 2):
            self.refuse(
                tree, f"{name} takes {'one argument' if single else 'two or more arguments'}"
            )
        arguments = [self.want(value, "number") for value in tree.args]
        if single:
            return ExpressionNode(FUNCTIONS[name], "number", tuple(arguments))
        return _fold(FUNCTIONS[name], "number", arguments)

    def name(self, tree: ast.Name) -> ExpressionNode:
        if tree.id == "missing":
            self.refuse(tree, "'missing' stands only after 'is' or 'is not'")
        if tree.id not in self.fields:
            self.refuse(tree, f"unknown field {tree.id!r}; there are {', '.join(self.fields)}")
        index, field = self.fields[tree.id]
        return ExpressionNode(Operation.PUSH_FIELD, _type_of(field), index=index)

    def constant(self, tree: ast.Constant) -> ExpressionNode:
        value = tree.value
        if isinstance(value, str):
            return ExpressionNode(Operation.PUSH_CONSTANT, "text", text=value)
        if isinstance(value, bool):
            return ExpressionNode(Operation.PUSH_CONSTANT, "logical", constants=(float(value),))
        if isinstance(value, int | float) and abs(value) < 1e300:
            return ExpressionNode(Operation.PUSH_CONSTANT, "number", constants=(float(value),))
        self.refuse(tree, f"{str(value)[:40]} is no finite number, text, True or False")

    def comparison(self, tree: ast.Compare) -> ExpressionNode:
        operands = [tree.left, *tree.comparators]
        links = [
            self.link(left, operator, right)
            for left, operator, right in zip(operands, tree.ops, operands[1:], strict=False)
        ]
        return _fold(Operation.AND, "logical", links)

    def link(self, left: ast.expr, operator: ast.cmpop, right: ast.expr) -> ExpressionNode:
        if isinstance(operator, ast.Is | ast.IsNot):
            return self.missing(left, right, isinstance(operator, ast.IsNot))
        if isinstance(operator, ast.In | ast.NotIn):
            return self.membership(left, right, isinstance(operator, ast.NotIn))
        return self.compare(left, COMPARISONS[type(operator)], right)

    def missing(self, left: ast.expr, right: ast.expr, negated: bool) -> ExpressionNode:
        if not (isinstance(right, ast.Name) and right.id == "missing"):
            self.refuse(right, "'is' is only for 'is missing' and 'is not missing'; use ==")
        if not isinstance(left, ast.Name):
            self.refuse(left, "'is missing' tests a field")
        node = self.name(left)
        if node.type == "vector":
            self.refuse(left, f"field {left.id!r} is a vector, which expressions cannot read")
        node = ExpressionNode(Operation.IS_MISSING, "logical", (node,))
        return ExpressionNode(Operation.NOT, "logical", (node,)) if negated else node

    def membership(self, left: ast.expr, right: ast.expr, negated: bool) -> ExpressionNode:
        if not isinstance(right, ast.Set | ast.List | ast.Tuple) or not right.elts:
            self.refuse(right, "'in' takes literals in brackets, such as {1, 2}")
        node = self.visit(left)
        members = [self.literal(node, member) for member in right.elts]
        node = ExpressionNode(Operation.IS_IN, "logical", (node,), constants=tuple(members))
        return ExpressionNode(Operation.NOT, "logical", (node,)) if negated else node

    def literal(self, subject: ExpressionNode, tree: ast.expr) -> float:
        negative = isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.USub)
        inner = tree.operand if isinstance(tree, ast.UnaryOp) and negative else tree
        if not isinstance(inner, ast.Constant):
            self.refuse(tree, "expected a literal number or text here")
        node = self.constant(inner)
        if node.type == "text" and not negative:
            return self.code(subject, node, tree)
        if node.type != "number" or subject.type != "number":
            self.refuse(tree, f"{_describe(subject)} cannot equal {_describe(node)}")
        return -node.constants[0] if negative else node.constants[0]

    def code(self, subject: ExpressionNode, node: ExpressionNode, tree: ast.expr) -> float:
        if not isinstance(subject.type, tuple):
            self.refuse(tree, f"{_describe(subject)} cannot equal {_describe(node)}")
        if node.text not in subject.type:
            self.refuse(tree, f"{node.text!r} is not among the field's allowed values")
        return float(subject.type.index(node.text))

    def compare(self, left: ast.expr, operation: Operation, right: ast.expr) -> ExpressionNode:
        first, second = self.visit(left), self.visit(right)
        equality = operation in (Operation.EQUAL, Operation.NOT_EQUAL)
        if first.type == "text":
            first = self.encoded(second, first, left)
        elif second.type == "text":
            second = self.encoded(first, second, right)
        if first.type != second.type or first.type in ("free", "vector"):
            self.refuse(left, f"cannot compare {_describe(first)} with {_describe(second)}")
        if not equality and first.type != "number":
            self.refuse(left, f"{_describe(first)} has no order; use == or !=")
        node = ExpressionNode(operation, "logical", (first, second))
        if isinstance(first.type, tuple) and Operation.PUSH_CONSTANT not in (
            first.operation,
            second.operation,
        ):
            return self.same_category(node, operation)
        return node

    def encoded(
        self, subject: ExpressionNode, node: ExpressionNode, tree: ast.expr
    ) -> ExpressionNode:
        code = self.code(subject, node, tree)
        return ExpressionNode(Operation.PUSH_CONSTANT, subject.type, constants=(code,))

    def same_category(self, node: ExpressionNode, operation: Operation) -> ExpressionNode:
        """Two unknown texts have one code, yet need not be equal: both sides must be known."""
        codes = tuple(float(code) for code in range(len(node.children[0].type)))
        known = [
            ExpressionNode(Operation.IS_IN, "logical", (child,), constants=codes)
            for child in node.children
        ]
        if operation is Operation.EQUAL:
            return _fold(Operation.AND, "logical", [node, *known])
        unknown = [ExpressionNode(Operation.NOT, "logical", (child,)) for child in known]
        return _fold(Operation.OR, "logical", [node, *unknown])


def _fold(operation: Operation, kind: str, nodes: list[ExpressionNode]) -> ExpressionNode:
    result = nodes[0]
    for node in nodes[1:]:
        result = ExpressionNode(operation, kind, (result, node))
    return result


def _type_of(field: Field) -> str | tuple[object, ...]:
    if field.kind is Kind.BOOL:
        return "logical"
    if field.kind.is_number:
        return "number"
    if field.kind.is_vector:
        return "vector"
    return field.allowed or "free"


def _describe(node: ExpressionNode) -> str:
    if isinstance(node.type, tuple):
        return "a category"
    names = {"free": "a free text", "text": f"the text {node.text!r}"}
    return names.get(node.type, f"a {node.type}")
