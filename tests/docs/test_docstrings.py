"""Docstrings of public functions say what their parameters are, and arrays their shape and type."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.names import ROOT, is_source, parsed, tracked

Function = ast.FunctionDef | ast.AsyncFunctionDef

#: From so many parameters on, an `Args:` section says what each is.
MANY = 4

SHAPE = re.compile(
    r"\(\w+,[^)]*\)|shape|dtype|one a |each |float32|float64|u?int(8|16|32|64)|bool|matri|vector"
)


@dataclass(frozen=True)
class Documented:
    """A public function with its docstring."""

    path: Path
    name: str
    node: Function

    @property
    def text(self) -> str:
        return ast.get_docstring(self.node) or ""

    @property
    def parameters(self) -> list[ast.arg]:
        arguments = self.node.args
        found = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        return [one for one in found if one.arg not in {"self", "cls"}]

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.node.lineno} {self.name}"


def functions() -> Iterator[Documented]:
    """Yield the public functions and methods of the program."""
    for path in tracked(".py"):
        if is_source(path) and path.name != "setup.py" and "migrations" not in path.parts:
            yield from _functions(path, parsed(path).body, "")


def _functions(path: Path, body: list[ast.stmt], prefix: str) -> Iterator[Documented]:
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from _functions(path, node.body, f"{prefix}{node.name}.")
        elif isinstance(node, Function) and not node.name.startswith("_"):
            if any(ast.unparse(one) == "overload" for one in node.decorator_list):
                continue  # the implementation is described
            yield Documented(path, prefix + node.name, node)


def described(text: str) -> list[str]:
    """Return the parameters that an `Args:` section names."""
    section = re.search(r"^Args:\n(.*?)(?=^\S|\Z)", text, flags=re.DOTALL | re.MULTILINE)
    found = (
        re.findall(r"^    (\*{0,2}\w+(?:, \w+)*)(?: \([^)]*\))?:", section[1], flags=re.MULTILINE)
        if section
        else []
    )
    return [name.lstrip("*") for line in found for name in line.split(", ")]


def is_route(function: Documented) -> bool:
    """Say whether a web framework calls it: its description is the OpenAPI page's."""
    return any(
        re.match(r"\w*(router|app|root|group|click)\b", ast.unparse(one))
        or ".command" in ast.unparse(one)
        for one in function.node.decorator_list
    )


def takes_arrays(function: Documented) -> bool:
    kinds = [one.annotation for one in function.parameters] + [function.node.returns]
    return any(re.search(r"NDArray|ndarray", ast.unparse(kind)) for kind in kinds if kind)


@pytest.mark.slow
def test_many_parameters_have_a_section() -> None:
    found = [
        one
        for one in functions()
        if len(one.parameters) >= MANY and not is_route(one) and not described(one.text)
    ]
    assert not found, "\n".join(map(str, found))


@pytest.mark.slow
def test_arrays_have_a_shape_or_a_type() -> None:
    found = [one for one in functions() if takes_arrays(one) and not SHAPE.search(one.text)]
    assert not found, "\n".join(map(str, found))


@pytest.mark.slow
def test_a_section_names_parameters_that_are_there() -> None:
    wrong = []
    for one in functions():
        strange = set(described(one.text)) - {parameter.arg for parameter in one.parameters}
        variadic = {one.node.args.vararg, one.node.args.kwarg} - {None}
        strange -= {argument.arg for argument in variadic if argument}
        wrong += [f"{one}: {name}" for name in sorted(strange)]
    assert not wrong, "\n".join(wrong)
