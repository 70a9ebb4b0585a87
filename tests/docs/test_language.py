"""Documents and docstrings keep to plain words and short sentences."""

import ast
import re
import statistics
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.names import PYTHON, ROOT, docstrings, is_source, parsed, tracked

#: Words that say less than a standard term would. Python's None is not the word "none".
PLAIN_WORDS_INSTEAD = (
    *(
        "anew",
        "bears?",
        "doors?",
        "drawn",
        "is none",
        "judg(?:ed?|es|ing)",
        "lanes?",
        "lies?",
        "nobody",
    ),
    *("not to be had", "so long", "so many", "stands? in", "strangers?", "told"),
    *("turned away", "whoever"),
)

#: Kind of prose → most words of a sentence: of the median one, and of nine in ten.
LENGTHS = {"documents": (16, 30), "docstrings": (12, 20)}

SENTENCE_END = re.compile(r"(?<=[.!?])[\"')*]*\s+|\n\s*\n|\n(?=\s*(?:[-*|#]|\d+\.) )")


def prose() -> dict[Path, str]:
    """Return the text of every document and of every docstring of the program, without code."""
    found = {}
    for path in tracked(".md", *PYTHON):
        if path.suffix == ".md":
            text = re.sub(r"^```.*?^```", "\n", path.read_text(encoding="utf-8"), flags=re.S | re.M)
            found[path] = re.sub(r"^\|.*$", "\n", text, flags=re.M)
        elif is_source(path):
            said = [str(one.value) for _, one in docstrings(parsed(path))]
            found[path] = "\n\n".join(
                re.sub(r"^\s*(>>>|\.\.\.) .*$", "", one, flags=re.M) for one in said
            )
    return {path: re.sub(r"`[^`]*`", "NAME", text) for path, text in found.items()}


def sentences(text: str) -> list[str]:
    """Return the sentences of a text, items of lists by themselves."""
    return [" ".join(part.split()) for part in SENTENCE_END.split(text) if part.strip()]


def length(sentence: str) -> int:
    """Count words; signs and figures alone are none."""
    return len(re.findall(r"[^\W\d_][\w'’-]*", sentence))


def percentile(kind: str) -> tuple[float, float]:
    lengths = [
        count
        for path, text in prose().items()
        if (path.suffix == ".md") == (kind == "documents")
        for one in sentences(text)
        if (count := length(one)) > 2
    ]
    return statistics.median(lengths), statistics.quantiles(lengths, n=10)[-1]


@pytest.mark.parametrize("kind", LENGTHS)
def test_sentences_are_short(kind: str) -> None:
    for found, most in zip(percentile(kind), LENGTHS[kind], strict=True):
        assert found <= most


def messages() -> dict[Path, str]:
    """Return the texts of the program that are no docstrings: errors, logs, help, pages."""
    found = {}
    for path in filter(is_source, tracked(*PYTHON)):
        tree = parsed(path)
        described = {id(one) for _, one in docstrings(tree)}
        texts = [
            one.value
            for one in ast.walk(tree)
            if isinstance(one, ast.Constant) and isinstance(one.value, str)
            if id(one) not in described and re.search(r"\w \w", one.value)
        ]
        found[path] = re.sub(r"'[\w.]+'", "NAME", "\n\n".join(texts))
    return found


@pytest.mark.parametrize("texts", [prose, messages])
def test_prose_uses_plain_words(texts: Callable[[], dict[Path, str]]) -> None:
    found = [
        f"{path.relative_to(ROOT)}: {word}: {one}"
        for path, text in texts().items()
        for one in sentences(text)
        for word in PLAIN_WORDS_INSTEAD
        if re.search(rf"\b{word}\b", one.replace("None", "NAME").lower())
    ]
    assert not found, "\n".join(found)
