"""Every name that the code has, and every name in back-ticks that documents and docstrings use."""

import ast
import builtins
import functools
import importlib
import importlib.util
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).parents[2]
IDENTIFIER = re.compile(r"[^\W\d]\w*")
PYTHON = {".py", ".pyi"}
COMPILED = {".pyx", ".pxd", ".c", ".h"}


@dataclass(frozen=True)
class Mention:
    """A text in back-ticks: the file and line where it stands."""

    path: Path
    line: int
    text: str
    #: The identifiers of the function or class whose docstring it is.
    scope: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}: `{self.text}`"


@dataclass
class Names:
    """Names by where they hold: everywhere, or in one file."""

    #: Classes, functions, methods, attributes, fields, modules, constants.
    defined: set[str] = field(default_factory=set)
    #: Texts that programs exchange: keys of JSON, names of metrics, values of enums.
    texts: set[str] = field(default_factory=set)
    #: Class → its members; classes of one name are taken together.
    members: dict[str, set[str]] = field(default_factory=dict)
    bases: dict[str, set[str]] = field(default_factory=dict)
    #: File → every identifier in its code.
    local: dict[Path, set[str]] = field(default_factory=dict)
    #: Every identifier of Cython, C and protobuf.
    compiled: set[str] = field(default_factory=set)
    files: set[str] = field(default_factory=set)

    def members_of(self, name: str) -> set[str]:
        """Return the members of a class, inherited ones too."""
        found = set(self.members.get(name, ()))
        for base in self.bases.get(name, ()):
            found |= self.members_of(base)
        return found


def tracked(*suffixes: str) -> list[Path]:
    """Return the files of the repository that are no links and have one of the suffixes."""
    command = ["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    except (OSError, subprocess.CalledProcessError):  # an unpacked archive
        listed = [
            str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if ".venv" not in path.parts
        ]
    paths = (ROOT / name for name in listed)
    return [
        path
        for path in paths
        if path.is_file() and not path.is_symlink() and path.suffix in suffixes
    ]


def is_source(path: Path) -> bool:
    """Say whether a file belongs to the program: no test, nothing generated."""
    first = path.relative_to(ROOT).parts[0]
    return first not in {"tests", "examples"} and "_pb2" not in path.name


def docstrings(tree: ast.AST) -> Iterator[tuple[ast.AST, ast.Constant]]:
    """Yield modules, classes and functions with their docstrings."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            said = first.value if isinstance(first, ast.Expr) else None
            if isinstance(said, ast.Constant) and isinstance(said.value, str):
                yield node, said


@functools.cache
def parsed(path: Path) -> ast.Module:
    """Return the syntax tree of a Python file."""
    return ast.parse(path.read_text(encoding="utf-8"))


@functools.cache
def mentions() -> list[Mention]:
    """Return every text in back-ticks of documents, docstrings and comments."""
    found: list[Mention] = []
    for path in tracked(".md", *PYTHON, *COMPILED):
        if path.suffix == ".md":
            if path.name not in {"CHANGELOG.md", "LICENSE.md"}:
                text = path.read_text(encoding="utf-8")
                blank = re.compile(r"^```.*?^```", flags=re.DOTALL | re.MULTILINE)
                found += _spans(path, blank.sub(lambda m: "\n" * m[0].count("\n"), text), 1)
        elif is_source(path) and path.suffix in PYTHON:
            text = path.read_text(encoding="utf-8")
            for node, one in docstrings(parsed(path)):
                if "`" in str(one.value):
                    scope = frozenset(_identifiers(node))
                    found += _spans(path, str(one.value), one.lineno, scope)
            scope = frozenset(names().local[path])
            for line, comment in _comments(text):
                found += _spans(path, comment, line, scope)
        elif is_source(path):
            scope = frozenset(names().local[path])
            for line, comment in _prose(path.read_text(encoding="utf-8")):
                found += _spans(path, comment, line, scope)
    return found


def _identifiers(tree: ast.AST) -> Iterator[str]:
    """Yield what a piece of code names: variables, attributes, parameters, imports, texts."""
    prose = {id(one) for _, one in docstrings(tree)}
    for node in ast.walk(tree):
        for attribute in ("id", "attr", "arg", "name", "asname"):
            if isinstance(name := getattr(node, attribute, None), str):
                yield from name.split(".")
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield from IDENTIFIER.findall(node.value)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from node.module.split(".")


def _spans(
    path: Path, text: str, line: int, scope: frozenset[str] = frozenset()
) -> Iterator[Mention]:
    for match in re.finditer(r"(`+)(.+?)\1", text, flags=re.DOTALL):
        before = text[: match.start()].count("\n")
        yield Mention(path, line + before, " ".join(match[2].split()), scope)


def _comments(text: str) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


#: Comments and docstrings of Cython and C.
_PROSE = re.compile(r'"""(.*?)"""|(?<!")#[^\n]*|/\*.*?\*/|//[^\n]*', flags=re.DOTALL)


def _prose(text: str) -> Iterator[tuple[int, str]]:
    for match in _PROSE.finditer(text):
        yield text[: match.start()].count("\n") + 1, match[0]


@functools.cache
def names() -> Names:
    """Read all sources and return what they define."""
    known = Names(files={str(path.relative_to(ROOT)) for path in tracked(*_suffixes())})
    known.files |= {str(link.relative_to(ROOT)) for link in (ROOT / "src" / "gnomon").iterdir()}
    for path in tracked(*PYTHON):
        _read_python(path, known)
    for path in tracked(*COMPILED, ".proto"):
        text = _PROSE.sub(" ", path.read_text(encoding="utf-8"))
        known.local[path] = set(IDENTIFIER.findall(text))
        (known.defined if path.suffix == ".proto" else known.compiled).update(known.local[path])
        if path.suffix in {".pyx", ".pxd", ".proto"}:
            _read_blocks(text, known)
    for path in known.files:
        known.defined |= {part.partition(".")[0] for part in path.split("/")}
    return known


def _suffixes() -> set[str]:
    command = ["git", "-C", str(ROOT), "ls-files"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
    return {Path(name).suffix for name in listed}


def _read_python(path: Path, known: Names) -> None:
    if not is_source(path):
        known.local[path] = set(IDENTIFIER.findall(path.read_text(encoding="utf-8")))
        return
    tree = parsed(path)
    known.local[path] = set(_identifiers(tree))
    prose = {id(one) for _, one in docstrings(tree)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if id(node) not in prose:
                known.texts |= {node.value, *re.findall(r"[\w.-]+", node.value)}
        elif isinstance(node, ast.ClassDef):
            known.members.setdefault(node.name, set()).update(_members(node))
            known.bases.setdefault(node.name, set()).update(_base_names(node))
            known.defined |= {node.name, *_members(node)}
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            known.defined.add(node.name)
    for statement in tree.body:
        known.defined |= set(_targets(statement))


def _members(node: ast.ClassDef) -> set[str]:
    found = {name for statement in node.body for name in _targets(statement)}
    for inner in ast.walk(node):
        if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(inner.name)
        elif isinstance(inner, ast.Attribute) and isinstance(inner.ctx, ast.Store):
            found.add(inner.attr)
    return found


def _base_names(node: ast.ClassDef) -> set[str]:
    return {ast.unparse(base).split("[")[0].split(".")[-1] for base in node.bases} - {node.name}


def _targets(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, ast.AnnAssign):
        targets: list[ast.expr] = [statement.target]
    elif isinstance(statement, ast.Assign):
        targets = statement.targets
    else:
        return
    for target in targets:
        for node in ast.walk(target):
            if isinstance(node, ast.Name):
                yield node.id


def _read_blocks(text: str, known: Names) -> None:
    """Take the members of extension types, messages and services, by their indentation."""
    current = ""
    for line in text.splitlines():
        opened = re.match(r"(?:cdef |ctypedef )?(?:class|struct|enum|message|service) (\w+)", line)
        if opened:
            current = opened[1]
        elif line and not line[0].isspace():
            current = ""
        elif current:
            known.members.setdefault(current, set()).update(IDENTIFIER.findall(line))


def outside(dotted: str) -> bool:
    """Say whether a dotted name is one of Python's or of an installed library's."""
    parts = dotted.split(".")
    if hasattr(builtins, parts[0]):
        return len(parts) == 1 or hasattr(getattr(builtins, parts[0]), parts[1])
    if importlib.util.find_spec(parts[0]) is None:
        return False
    try:
        if importlib.util.find_spec(dotted):  # imports what is around it only
            return True
    except ModuleNotFoundError:
        pass
    for length in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:length]))
        except ImportError:
            continue
        for part in parts[length:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


def is_standard(name: str) -> bool:
    """Say whether a name is a module or a builtin of Python's."""
    return name in sys.stdlib_module_names or hasattr(builtins, name)


@functools.cache
def commands() -> dict[str, click.Command]:
    """Return every command by its words, as `hub token`."""
    from gnomon.command.root import root

    found: dict[str, click.Command] = {"": root}

    def walk(command: click.Command, words: str) -> None:
        found[words] = command
        if isinstance(command, click.Group):
            with click.Context(command) as context:
                for name in command.list_commands(context):
                    inner = command.get_command(context, name)
                    assert inner is not None
                    walk(inner, f"{words} {name}".strip())

    walk(root, "")
    return found


def options(command: click.Command) -> dict[str, bool]:
    """Return the options of a command, without its groups', and whether each takes a value."""
    with click.Context(command) as context:
        parameters = command.get_params(context)
    return {
        text: not getattr(one, "is_flag", False)
        for one in parameters
        for text in (*one.opts, *one.secondary_opts)
    }


@functools.cache
def settings() -> set[str]:
    """Return every setting as `section.name`."""
    from gnomon.command.shared.settings_sections import SECTIONS, settings_type

    return {
        f"{section}.{one.name}" for section in SECTIONS for one in fields(settings_type(section))
    }


def make_targets() -> set[str]:
    """Return what `make` can be asked for."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    (line,) = re.findall(r"^\.PHONY: (.*)$", text, flags=re.MULTILINE)
    return set(line.split())
