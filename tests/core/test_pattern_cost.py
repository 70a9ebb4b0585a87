"""Patterns of contracts take time in proportion to the text, or are refused."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.core.fields import Field, Kind
from gnomon.core.kinds import ContractError
from gnomon.core.pattern_cost import PatternError, check_pattern

ATOMS = st.sampled_from(["a", "b", "-", ".", r"\w", "[ab]", "[^a]", "(?:)", "^", "$", "c"])
QUANTIFIERS = ["*", "+", "?", "*?", "{2,}", "{0,3}", "{3}", "{0,40}"]


def grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return (
        st.tuples(inner, inner).map("".join)
        | st.tuples(inner, inner).map(lambda two: f"(?:{two[0]}|{two[1]})")
        | st.tuples(inner, st.sampled_from(QUANTIFIERS)).map(lambda two: f"(?:{two[0]}){two[1]}")
        | st.tuples(inner, inner).map(lambda two: f"(?={two[0]}){two[1]}")
    )


PATTERNS = st.recursive(ATOMS, grown, max_leaves=8)


@settings(max_examples=300)
@given(pattern=PATTERNS)
def test_what_is_accepted_is_fast_on_any_text(pattern: str) -> None:
    try:
        check_pattern(pattern)
        compiled = re.compile(pattern)
    except (PatternError, re.error):
        return
    for text in ("a" * 3_000 + "!", "ab" * 1_500 + "!", "b" * 3_000 + "c"):
        began = time.thread_time()
        compiled.fullmatch(text)
        assert time.thread_time() - began < 0.5, text[:4]


@pytest.mark.parametrize(
    "pattern",
    [
        *("(a+)+", "(a*)*b", "(aa|aa)*", "(a|ab)*c", "([a-z]+)*", "(x+x+)+y", "(.*)*", "(a?){30}b"),
        *(".*.*x", "a*a*b", ".*[a-y]*z", r"\d+\d+", r"(\w+\s?)*!", "(a|aa)+$", r"(a)\1", "(?>a*)b"),
        *(
            "(a|b|ab)(a|b|ab)(a|b|ab)(a|b|ab)(a|b|ab)(a|b|ab)",
            "a{0,99}a{0,99}b",
            "((a{1,5}){1,5}){1,9}",
        ),
        *(
            "x" * 1_001,
            "(a*,?)*",
            "(a+(,a+)*)*",
            "(-?[a-z]+)*",
            "[a-z]+(a[a-z]+)*",
            "(?i)a*A*b",
            "(?:a(?=.*b).*)*",
            r"(?:(?=\w{2,})[^a])+",
        ),
    ],
)
def test_patterns_that_may_take_long_are_refused(pattern: str) -> None:
    with pytest.raises(ContractError, match="pattern"):
        Field(name="tail", kind=Kind.STRING, pattern=pattern)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("N.*", "N12345"),
        (r"N\d{1,5}[A-Z]{0,2}", "N123AB"),
        (r"\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2})?)?", "2013-07-04T12:00"),
        (r"[^@]+@\w+\.\w+", "someone@example.org"),
        ("([a-z]+,)*[a-z]+", None),
        (r"([a-z]+\.)+", "www.example.org."),
        ("(ab|cd)*", "abcdab"),
        ("[a-z]+(-[a-z]+)*", "new-york-city"),
        (r"\d+\.\d+(\.\d+)?", "1.24.1"),
        (r"\d+(,\d+)*(;\d+(,\d+)*)?", "1,2;3"),
        ("(?:cat|car|dog)s?", "cars"),
        (r"(?=.*\d).{8,}", "password1"),
        ("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "01234567-89ab-cdef-0123-456789abcdef"),
    ],
)
def test_usual_patterns_are_taken(pattern: str, text: str | None) -> None:
    if text is None:
        with pytest.raises(PatternError):
            check_pattern(pattern)
        # A short text bounds what it may cost.
        check_pattern(pattern, maximum_length=200)
        return
    check_pattern(pattern)
    assert re.fullmatch(pattern, text)
