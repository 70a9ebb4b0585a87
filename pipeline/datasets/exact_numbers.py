"""Numbers of types that are wider than int64 and float64: unsigned ones and decimals.

A whole number is an int64 if that holds it, else a float64 if that equals it. Another decimal of
at most 15 digits is the float64 nearest to it, as it is when it is read from a text: no two such
decimals have the same. Other numbers are compared by their digits. So different numbers stay
different, and equal ones equal, in whatever type or scale.
"""

from dataclasses import dataclass
from decimal import Context, Decimal
from struct import unpack

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

__all__ = ["ExactNumbers", "exact_numbers"]

#: Digits that tell decimals apart by their float64, and more than any decimal has.
_FLOAT_DIGITS, _PRECISION = 15, 100
#: Powers of ten up to this are float64s.
_EXACT_POWER = 22
_LARGEST_INTEGER = 2**63 - 1


@dataclass(frozen=True, slots=True)
class ExactNumbers:
    """Numbers as words of 64 bits, or as texts.

    Attributes:
        words: int64 `(N,)`, the bits of an int64 or a float64; 0 if the number is missing or wide.
        is_float: whether the bits are of a float64, bool `(N,)`.
        is_wide: whether the number is neither, bool `(N,)`.
        texts: the digits of those that are neither; None if there are none.
    """

    words: NDArray[np.int64]
    is_float: NDArray[np.bool_]
    is_wide: NDArray[np.bool_]
    texts: pa.Array | None


def exact_numbers(column: pa.Array) -> ExactNumbers:
    """Return a column of uint64 or decimals in canonical form."""
    if (whole := _as_integers(column)) is not None:
        nothing = np.zeros(len(column), np.bool_)
        return ExactNumbers(whole, nothing, nothing, None)
    if pa.types.is_decimal(column.type) and (found := _as_floats(column)) is not None:
        return found
    coded = column.dictionary_encode()
    forms = [_canonical(Decimal(value)) for value in coded.dictionary.to_pylist()]
    # A missing number has the code after the last.
    codes = np.asarray(pc.fill_null(coded.indices, len(forms)))
    words = np.array([*(one.word for one in forms), 0], np.int64)[codes]
    is_float = np.array([*(one.is_float for one in forms), False])[codes]
    is_wide = np.array([*(bool(one.text) for one in forms), False])[codes]
    texts = pa.array([*(one.text for one in forms), None], pa.string()).take(pa.array(codes))
    return ExactNumbers(words, is_float, is_wide, texts if is_wide.any() else None)


def _as_integers(column: pa.Array) -> NDArray[np.int64] | None:
    try:
        return np.asarray(pc.fill_null(column.cast(pa.int64()), 0))
    except pa.ArrowInvalid:
        return None


def _as_floats(column: pa.Array) -> ExactNumbers | None:
    """Return decimals of few digits: a quotient of two exact float64s is the nearest one."""
    kind = column.type
    if kind.precision > _FLOAT_DIGITS or not 0 <= kind.scale <= _EXACT_POWER:
        return None
    unscaled = pc.fill_null(column, Decimal(0)).cast(pa.decimal128(38, kind.scale))
    low = np.frombuffer(unscaled.buffers()[1], "<i8")[2 * unscaled.offset :: 2][: len(column)]
    values = low / 10.0**kind.scale
    is_whole = values == np.rint(values)
    words = np.where(is_whole, values.astype(np.int64), values.view(np.int64))
    return ExactNumbers(words, ~is_whole, np.zeros(len(column), np.bool_), None)


@dataclass(frozen=True, slots=True)
class _Form:
    word: int = 0
    is_float: bool = False
    text: str = ""


def _canonical(number: Decimal) -> _Form:
    number = number.normalize(Context(prec=_PRECISION))
    is_whole = number == number.to_integral_value()
    if is_whole and -_LARGEST_INTEGER - 1 <= number <= _LARGEST_INTEGER:
        return _Form(int(number))
    held = float(number)
    digits = len(number.as_tuple().digits)
    if (Decimal(held) == number) if is_whole else (digits <= _FLOAT_DIGITS):
        (word,) = unpack("<q", np.float64(held).tobytes())
        return _Form(word, is_float=True)
    return _Form(text=f"{number:f}")
