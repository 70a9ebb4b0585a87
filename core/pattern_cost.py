"""Patterns that `re` matches in time proportional to the text, whatever the text is.

`re` backtracks: where a pattern has several ways to match the same text, it may try all of them,
and 28 characters can take seconds. A pattern is accepted if the number of its ways is small, or
grows only with the text's length. Every repetition and every alternative counts, unless the next
character alone decides. A `maximum_length` of the field bounds what a way may cost, so that it
allows further patterns.
"""

import functools
import importlib
import re
from typing import Any, NamedTuple

#: Characters of a pattern.
PATTERN_CHARACTERS = 1_000
#: Ways of a pattern without its repetitions of any length.
_MOST_WAYS = 256
#: Steps for one text whose length is bounded.
_MOST_STEPS = 100_000
#: A repetition of more rounds than this counts as one of any length.
_SHORT = 32

_parser: Any = importlib.import_module("re._parser")
_constants: Any = importlib.import_module("re._constants")
_REPEATS = (_constants.MAX_REPEAT, _constants.MIN_REPEAT)
_ONE_CHARACTER = (
    _constants.LITERAL,
    _constants.NOT_LITERAL,
    _constants.ANY,
    _constants.IN,
)


#: Characters that may come next; None: unknown.
_Codes = frozenset[int] | None
#: That the text may end: a pattern matches all of it, so no repetition ends before by choice.
_END = -1


class PatternError(ValueError):
    """A pattern that may take long; the message says which part of it, and what would be right."""


class _Cost(NamedTuple):
    """The ways to match a text of n characters, at most `ways`·n^`power`, and their steps.

    All ways together take about n^`steps` steps, with a factor that the pattern bounds. Of these,
    n^`looks` look ahead, so that a repetition does them again for each character.
    """

    ways: int = 1
    power: int = 0
    steps: int = 0
    looks: int = 0

    @property
    def is_one(self) -> bool:
        """Whether there is one way at most."""
        return (self.ways, self.power) == (1, 0)

    def then(self, other: "_Cost") -> "_Cost":
        """Return the cost of both in a row: each way of the first tries all of the other."""
        steps = max(self.steps, self.power + other.steps)
        ways = min(self.ways * other.ways, _MOST_STEPS)
        return _Cost(ways, self.power + other.power, steps, max(self.looks, other.looks))


def check_pattern(pattern: str, maximum_length: int | None = None) -> None:
    """Check that a pattern is matched in time proportional to the text.

    Args:
        pattern: a regular expression of Python's.
        maximum_length: of texts, in characters; longer ones are never matched. None: any length.

    Raises:
        PatternError: it may take longer, or has more than `PATTERN_CHARACTERS`.
        re.error: it does not compile; also OverflowError and RecursionError.
    """
    if len(pattern) > PATTERN_CHARACTERS:
        raise PatternError(f"has {len(pattern)} characters, more than {PATTERN_CHARACTERS}")
    parsed = _parser.parse(pattern)
    cost = _cost_of(parsed, bool(parsed.state.flags & re.IGNORECASE), frozenset([_END]))
    power = max(cost.power, cost.steps)
    if power <= 1 and cost.ways <= _MOST_WAYS:
        return
    if maximum_length is not None and cost.ways * maximum_length**power <= _MOST_STEPS:
        return
    raise PatternError(
        "has too many ways to match one text: after a repetition such as * or {2,} whose end the "
        "next character does not decide, there should be no other; or the field should have a "
        "short maximum_length"
    )


def _cost_of(items: Any, ignores_case: bool, after: _Codes) -> _Cost:
    costs = []
    for kind, argument in reversed(items):
        costs.append(_cost_of_part(kind, argument, after, ignores_case))
        after = _first_of_part((kind, argument), after)
    total = _Cost()
    for cost in reversed(costs):
        total = total.then(cost)
    return total


def _cost_of_part(kind: Any, argument: Any, after: _Codes, ignores_case: bool) -> _Cost:
    if kind in _ONE_CHARACTER or kind is _constants.AT:
        return _Cost()
    if kind is _constants.SUBPATTERN:
        _, added, _, body = argument
        return _cost_of(body, ignores_case or bool(added & re.IGNORECASE), after)
    if kind is _constants.BRANCH:
        return _cost_of_branches(argument[1], ignores_case, after)
    if kind in _REPEATS:
        least, most, body = argument
        is_decided = not ignores_case and _is_decided(body, after)
        inner = _cost_of(body, ignores_case, _union(_first_of(body, after), after))
        return _cost_of_repeat(least, most, inner, is_decided)
    if kind in (_constants.ASSERT, _constants.ASSERT_NOT):
        # Once it holds, no other way is tried.
        steps = _cost_of(argument[1], ignores_case, None).steps
        return _Cost(steps=steps, looks=steps)
    raise PatternError(
        "refers to a group or forbids to go back, which cannot be bounded; write it without that"
    )


def _cost_of_branches(branches: Any, ignores_case: bool, after: _Codes) -> _Cost:
    costs = [_cost_of(body, ignores_case, after) for body in branches]
    first = [_first_literal(body[0]) if len(body) else None for body in branches]
    is_decided = not ignores_case and None not in first and len(set(first)) == len(first)
    ways = [cost.ways for cost in costs]
    return _Cost(
        max(ways) if is_decided else sum(ways),
        max(cost.power for cost in costs),
        max(cost.steps for cost in costs),
        max(cost.looks for cost in costs),
    )


def _cost_of_repeat(least: int, most: Any, inner: _Cost, is_decided: bool) -> _Cost:
    is_long = most is _constants.MAXREPEAT or most > _SHORT
    if inner.is_one:
        # All rounds together read each character once, but for what looks ahead.
        steps = max(inner.steps, inner.looks + 1) if is_long else inner.steps
        if is_decided or least == most:
            return _Cost(1, 0, steps, inner.looks)
        ways = 1 if is_long else int(most) - least + 1
        return _Cost(ways, int(is_long), steps, inner.looks)
    if is_long:
        raise PatternError(
            "repeats a part that itself has several ways to match, such as (a+)+ or (a|ab)*: use "
            "a set of characters such as [ab]*"
        )
    total = one = _Cost()
    for _ in range(most):
        one = one.then(inner)
        total = one._replace(ways=min(total.ways + one.ways, _MOST_STEPS))
    return total


def _first_literal(part: Any) -> int | None:
    """Return the character that a part must begin with, if there is one."""
    kind, argument = part
    if kind is _constants.SUBPATTERN and len(argument[3]) and not argument[1]:
        return _first_literal(argument[3][0])
    if kind in _REPEATS and argument[0] > 0 and len(argument[2]):
        return _first_literal(argument[2][0])
    return int(argument) if kind is _constants.LITERAL else None


def _union(one: _Codes, other: _Codes) -> _Codes:
    return None if one is None or other is None else one | other


def _first_of(items: Any, after: _Codes) -> _Codes:
    """Return the characters with which items begin, or what follows if they match nothing."""
    for part in reversed(items):
        after = _first_of_part(part, after)
    return after


def _first_of_part(part: Any, after: _Codes) -> _Codes:
    kind, argument = part
    if kind is _constants.LITERAL:
        return frozenset([int(argument)])
    if kind is _constants.SUBPATTERN and not argument[1]:
        return _first_of(argument[3], after)
    if kind is _constants.BRANCH:
        return functools.reduce(_union, [_first_of(body, after) for body in argument[1]])
    if kind in _REPEATS:
        least, _, body = argument
        first = _first_of(body, after)
        return first if least else _union(first, after)
    return None


def _is_decided(body: Any, after: _Codes) -> bool:
    """Whether what is repeated never begins with a character that may follow instead."""
    if after is None:
        return False
    if len(body) == 1 and body[0][0] in _ONE_CHARACTER:
        return not any(_takes(body[0], code) for code in after - {_END})
    first = _first_of(body, frozenset([_END]))
    # A body that may match nothing begins with what follows it.
    return first is not None and _END not in first and not first & after


def _takes(item: Any, code: int) -> bool:
    """Whether an item takes a character; an item that is not understood may."""
    kind, argument = item
    if kind is _constants.LITERAL:
        return bool(argument == code)
    if kind is _constants.NOT_LITERAL:
        return bool(argument != code)
    if kind is _constants.IN:
        return _set_takes(argument, code)
    return True


def _set_takes(parts: Any, code: int) -> bool:
    is_negated = parts[0][0] is _constants.NEGATE
    for kind, argument in parts[is_negated:]:
        if (
            (kind is _constants.LITERAL and argument == code)
            or (kind is _constants.RANGE and argument[0] <= code <= argument[1])
            or (kind is _constants.CATEGORY and _CATEGORIES[argument].match(chr(code)))
        ):
            return not is_negated
    return is_negated


_CATEGORIES = {
    _constants.CATEGORY_DIGIT: re.compile(r"\d"),
    _constants.CATEGORY_NOT_DIGIT: re.compile(r"\D"),
    _constants.CATEGORY_SPACE: re.compile(r"\s"),
    _constants.CATEGORY_NOT_SPACE: re.compile(r"\S"),
    _constants.CATEGORY_WORD: re.compile(r"\w"),
    _constants.CATEGORY_NOT_WORD: re.compile(r"\W"),
}
