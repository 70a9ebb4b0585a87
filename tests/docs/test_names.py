"""Every name in back-ticks, in documents, docstrings and comments, is there under that name."""

import fnmatch
import functools
import importlib
import keyword
import re
import tomllib
from pathlib import Path

import pytest

from tests.support.names import (
    COMPILED,
    IDENTIFIER,
    ROOT,
    Mention,
    commands,
    is_standard,
    make_targets,
    mentions,
    names,
    options,
    outside,
    settings,
)

HERE = Path(__file__).parent

#: What stands in back-ticks and is no name of ours: literals, protocols, programs and files of
#: others, and models and folders of the examples.
NO_NAMES = set((HERE / "no_names.txt").read_text(encoding="utf-8").splitlines())

SUFFIXES = "c|h|json|md|onnx|pem|proto|py|pyi|pxd|pyx|sklearn|skops|so|tflite|toml|txt|yaml"
PATH = re.compile(rf"[\w.*-]*(/[\w.*-]*)+|[\w.*-]*\.({SUFFIXES})")
MATHEMATICS = re.compile(r"[^\x00-\x7f…’]|\*\*|\^")
WORDS_OF_C = {"NULL", "size_t", "const", "struct", "enum", "void", "char", "int", "inf", "nan"}


def problem_of(mention: Mention) -> str | None:
    """Return what of a mention is not there, or None."""
    text = mention.text.removeprefix(".venv/bin/").rstrip("…").strip()
    if text in NO_NAMES or MATHEMATICS.search(text) or not IDENTIFIER.search(text):
        return None
    first, _, rest = text.partition(" ")
    if first == "gnomon" and rest:
        return _problem_of_command(rest.split())
    if first == "make" and rest:
        return None if rest.split()[0] in make_targets() else f"make has no target {rest!r}"
    if text.startswith("python -m "):
        return _problem_of_name(text.split()[2], mention)
    if first in {"pip", "apt-get", "pytest", "perf", "py-spy", "valgrind", "git", "python"}:
        return None
    if text.startswith("--"):
        option = re.split(r"[ =]", text)[0]
        is_known = option in names().texts or any(option in options(c) for c in commands().values())
        return None if is_known else f"no command has the option {option}"
    variable = re.fullmatch(r"GNOMON_([A-Z]+)_([A-Z_]+)(=.*)?", text)
    if variable and f"{variable[1]}.{variable[2]}".lower() in settings():
        return None
    if extra := re.fullmatch(r"'?gnomon\[(\w+)\]'?", text):
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        return None if extra[1] in project["optional-dependencies"] else "no such extra"
    if PATH.fullmatch(text):
        return _problem_of_path(text)
    return _problem_of_code(text, mention)


def _problem_of_command(words: list[str]) -> str | None:
    found, known, takes_value = "", options(commands()[""]), False
    for index, word in enumerate(words):
        if word == "--":
            return None
        if takes_value:
            takes_value = False
            continue
        if word.startswith("-"):
            option = word.partition("=")[0]
            if option not in known:
                return f"`gnomon {found}` has no option {option}"
            takes_value = known[option] and "=" not in word
            continue
        choices = word.split("|")
        inner = [f"{found} {choice}".strip() for choice in choices]
        if all(choice in commands() for choice in inner):
            found = inner[-1]
            known |= options(commands()[found])
        elif index == 0 or hasattr(commands()[found], "commands"):
            return f"`gnomon {found}` has no command {word}"
    return None


def _problem_of_path(text: str) -> str | None:
    known = names()
    wanted = text.removeprefix("./").rstrip("/")
    if not wanted or text.startswith("/") or wanted in known.texts:
        return None
    if wanted.lstrip("*").startswith(".") and "/" not in wanted:  # a kind of file
        return None
    if wanted in _tails() or ("*" in wanted and fnmatch.filter(_tails(), wanted)):
        return None
    return "there is no such file"


@functools.cache
def _tails() -> set[str]:
    """Return the ends of all paths of files and folders."""
    found = set()
    for path in names().files:
        parts = path.split("/")
        for start in range(len(parts)):
            found |= {"/".join(parts[start:end]) for end in range(start + 1, len(parts) + 1)}
    return found


def _problem_of_code(text: str, mention: Mention) -> str | None:
    code = re.sub(r"\"[^\"]*\"|'[^']*'", " ", text)
    for dotted in re.findall(r"(?<![\w.%{<-])[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", code):
        problem = _problem_of_name(dotted, mention)
        if problem:
            return problem
    return None


def _problem_of_name(dotted: str, mention: Mention) -> str | None:
    parts = dotted.split(".")
    known = names()
    if all(len(part) <= 2 or keyword.iskeyword(part) or part in WORDS_OF_C for part in parts):
        return None
    if len(parts) == 1:
        return None if _is_known(dotted, mention) else f"{dotted} is nowhere"
    if parts[0] == "gnomon":
        return _problem_of_module(parts)
    if parts[0] in known.members and not parts[0].islower():
        missing = parts[1] not in known.members_of(parts[0]) | known.compiled
        return f"{parts[0]} has no {parts[1]}" if missing else None
    if dotted in settings() or dotted in known.texts or outside(dotted):
        return None
    modules = [path for path in known.local if parts[0] in (path.stem, path.parent.name)]
    if modules:
        there = any(parts[1] in known.local[path] or parts[1] == path.stem for path in modules)
        return None if there else f"no module {parts[0]} has {parts[1]}"
    strange = [part for part in parts if not _is_known(part, mention)]
    return f"{strange[0]} is nowhere" if strange else None


def _problem_of_module(parts: list[str]) -> str | None:
    for length in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:length]))
        except ImportError:
            continue
        for part in parts[length:]:
            if not hasattr(found, part):
                return f"{'.'.join(parts[:length])} has no {part}"
            found = getattr(found, part)
        return None
    return "there is no such module"


def _is_known(name: str, mention: Mention) -> bool:
    known = names()
    name = name.removesuffix("_total")  # Prometheus adds it
    if is_standard(name) or name in known.defined or name in known.texts:
        return True
    if mention.path.suffix == ".md":
        return name in known.compiled or name in _local()
    beside = {*mention.scope}
    for suffix in (".pyx", ".pxd", ".c", ".h"):
        beside |= known.local.get(mention.path.with_suffix(suffix), set())
    is_compiled = mention.path.suffix in COMPILED or mention.path.suffix == ".pyi"
    return name in beside or (is_compiled and name in known.compiled)


@functools.cache
def _local() -> set[str]:
    """Return every identifier but this test's own."""
    return set().union(*(one for path, one in names().local.items() if path.parent != HERE))


@pytest.mark.slow
def test_every_name_in_back_ticks_is_there() -> None:
    problems = [
        f"{mention}: {problem}" for mention in mentions() if (problem := problem_of(mention))
    ]
    assert not problems, "\n" + "\n".join(problems)


@pytest.mark.parametrize(
    "text",
    [
        "handler.py:111",
        "gnomon hub fly",
        "gnomon serve --wings",
        "make coffee",
        "--wings",
        "gnomon.runtime.wings",
        "gnomon.runtime.errors.WingError",
        "Runtime.fly",
        "FlyingRuntime",
        "runtime/wings.py",
        "gnomon_wings_total",
        "gnomon[wings]",
        "runtime.predict(wings=…)",
    ],
)
def test_a_name_that_is_not_there_is_found(text: str) -> None:
    assert problem_of(Mention(ROOT / "README.md", 1, text))
