"""The types of CSV columns: those that hold each value exactly, whatever the file is split into.

Arrow infers a column's type by trying types in order until all values of the file fit. Here each
stretch is inferred by itself; if they differ, types are tried on all stretches. Arrow takes numbers
that it cannot hold otherwise as floats. A column becomes one of decimals, or texts, if float64
does not hold one of its numbers, so that other numbers are other rows.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal, InvalidOperation, localcontext
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["are_floats", "fitting_type", "wider_types"]

#: In the order in which Arrow tries them.
_TRIED = (
    pa.null(),
    pa.int64(),
    pa.bool_(),
    pa.date32(),
    pa.time32("s"),
    pa.timestamp("s"),
    pa.timestamp("s", "UTC"),
    pa.timestamp("ns"),
    pa.timestamp("ns", "UTC"),
    pa.float64(),
    pa.string(),
)
#: Digits that a decimal128 has, and that float64 holds of any number.
_DECIMAL_DIGITS, _FLOAT_DIGITS = 38, 15
#: More digits than any float64 has before and after the decimal mark together.
_PRECISION = 1500


def fitting_type(
    found: Sequence[pa.DataType], fits: Callable[[int, pa.DataType], bool]
) -> pa.DataType:
    """Return the first type, in the order in which Arrow tries, that fits all stretches.

    Args:
        found: the type that Arrow infers from each stretch.
        fits: says whether all values of a stretch, by its position, are of a type.
    """
    if len(set(found)) == 1:
        return found[0]
    if not set(found) <= set(_TRIED):
        return pa.string()
    last = max(_TRIED.index(kind) for kind in found)
    return next(
        kind
        for kind in _TRIED[last:]
        if kind == pa.string()
        or all(one == kind or fits(number, kind) for number, one in enumerate(found))
    )


def are_floats(texts: pa.Array, floats: pa.Array) -> bool:
    """Say whether float64 holds each number: written with as many digits, it is the same number.

    Args:
        texts: the numbers as they are written, with "." as decimal mark.
        floats: float64 of them.
    """
    is_long = pc.greater(pc.utf8_length(texts), _FLOAT_DIGITS)
    is_end = pc.or_(pc.is_inf(floats), pc.equal(floats, 0.0))
    chosen = pc.fill_null(pc.or_(is_long, is_end), False)
    texts, floats = texts.filter(chosen), floats.filter(chosen)
    # What Arrow writes in the same way is the shortest text of its float64.
    is_other = pc.not_equal(floats.cast(pa.string()), texts)
    is_whole = pc.match_substring_regex(texts, r"^[+-]?\d+$")
    doubtful = pc.or_(is_other, is_whole)
    pairs = pa.table({"text": texts.filter(doubtful), "float": floats.filter(doubtful)})
    pairs = pairs.group_by(["text", "float"]).aggregate([])
    return all(
        _is_held(text, number)
        for text, number in zip(pairs["text"].to_pylist(), pairs["float"].to_pylist(), strict=True)
    )


def wider_types(stretches: Iterable[pa.Array]) -> tuple[pa.DataType, ...]:
    """Return the types that may hold numbers that float64 does not hold, the narrower first.

    Args:
        stretches: all numbers as they are written, with "." as decimal mark.
    """
    before = after = 0
    is_unsigned = True
    for texts in stretches:
        numbers = [_digits(text) for text in texts.drop_null().unique().to_pylist()]
        before = max([before, *(one.before for one in numbers)])
        after = max([after, *(one.after for one in numbers)])
        is_unsigned &= all(one.is_unsigned for one in numbers)
    digits = max(before + after, 1)
    decimal = (pa.decimal128(digits, after),) if digits <= _DECIMAL_DIGITS else ()
    return ((pa.uint64(),) if is_unsigned else ()) + decimal


class _Digits(NamedTuple):
    """The digits before and after the decimal mark, and whether there are digits only."""

    before: int
    after: int
    is_unsigned: bool


def _digits(text: str) -> _Digits:
    text = text.strip()
    try:
        _, digits, exponent = Decimal(text).as_tuple()
    except InvalidOperation:
        exponent, digits = "n", ()
    if not isinstance(exponent, int):
        # No decimal has this many digits.
        return _Digits(_DECIMAL_DIGITS + 1, 0, False)
    return _Digits(max(len(digits) + exponent, 0), max(-exponent, 0), text.isdigit())


def _is_held(text: str, number: float) -> bool:
    try:
        exact = Decimal(text.strip())
    except InvalidOperation:
        return True
    if not exact.is_finite():
        return True
    if math.isinf(number):
        return False
    with localcontext() as context:
        context.prec = _PRECISION
        # A number halfway between two texts, such as 2**-24, is written as either of them.
        away = abs(Decimal(number) - exact)
        return 2 * away <= Decimal((0, (1,), int(exact.as_tuple().exponent)))
