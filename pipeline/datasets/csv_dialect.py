"""How CSV files are written: encoding, delimiter, decimal mark, words for a missing value."""

import codecs
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from gnomon.pipeline.datasets.row_encoding import DatasetError

__all__ = ["DEFAULT_DIALECT", "DELIMITERS", "USUAL_WORDS", "CsvDialect", "dialect_of"]

#: Tried in this order if no delimiter is set: the first that the header has.
DELIMITERS = (",", ";", "\t", "|")
#: Words that stand for no value among numbers, bools and times, if no words are set.
USUAL_WORDS = (
    *("NA", "N/A", "n/a", "na", "#N/A", "#NA", "<NA>", "NaN", "nan", "NAN", "-nan", "-NaN"),
    *("NULL", "Null", "null", "NIL", "nil", "None", "none", "?", "-", "--", "."),
)
#: Texts whose encoding in parts is that of the whole unless an encoding has states.
_PROBES = ("aéé", "a日日", "a\r\n")


class CsvDialect(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of a CSV reader; what is empty follows from each file.

    Attributes:
        encoding: of the text, a name that Python knows; "": a byte order mark, or UTF-8.
        delimiter: the character between values; "": the first of comma, semicolon, tab and bar
            that the header has.
        decimal: the decimal mark of numbers, "." or ",".
        missing: texts that stand for no value, in columns of all kinds.
        usual_words: whether `USUAL_WORDS` stand for no value too, in columns whose other values are
            all numbers, bools or times.
        text: columns that are read as texts, such as codes with leading zeros.
        ragged: a row with fewer values than there are columns is an error ("refuse"), or lacks the
            last ones ("fill"). A row with more is always an error.
    """

    encoding: str = ""
    delimiter: str = ""
    decimal: str = "."
    missing: tuple[str, ...] = ("", "NA")
    usual_words: bool = True
    text: tuple[str, ...] = ()
    ragged: Literal["refuse", "fill"] = "refuse"

    def __post_init__(self) -> None:
        """Refuse settings that contradict each other.

        Raises:
            DatasetError: no reader can follow a setting.
        """
        if self.decimal not in (".", ","):
            raise DatasetError(f"decimal should be '.' or ',', got {self.decimal!r}")
        if self.delimiter:
            is_character = len(self.delimiter) == 1 and self.delimiter.isascii()
            if not is_character or self.delimiter in '"\r\n':
                raise DatasetError(
                    "delimiter should be one ASCII character, no quote or line break, "
                    f"got {self.delimiter!r}"
                )
            if self.delimiter == self.decimal:
                raise DatasetError(f"delimiter and decimal are both {self.decimal!r}")
        if self.encoding:
            _check_encoding(self.encoding)


#: Of a file that says all that a reader must know.
DEFAULT_DIALECT = CsvDialect()


def dialect_of(missing: Sequence[str] | None, **settings: Any) -> CsvDialect:
    """Return a dialect; if `missing` is given, these texts and no others stand for no value.

    Args:
        missing: texts for no value; None: the usual ones.
        settings: other attributes of `CsvDialect`.

    Raises:
        DatasetError: the settings contradict each other.
    """
    if missing is None:
        return CsvDialect(**settings)
    return CsvDialect(missing=tuple(missing), usual_words=False, **settings)


def _check_encoding(name: str) -> None:
    try:
        is_stateful = not all(_is_stateless(name, text) for text in _PROBES)
    except (LookupError, ValueError, TypeError) as error:
        raise DatasetError(
            f"encoding {name!r} is no text encoding; use one such as utf-8, utf-16, cp1252"
        ) from error
    if is_stateful:
        raise DatasetError(
            f"in encoding {name!r} bytes depend on those before; no file can be read in parts; "
            "convert it to utf-8"
        )


def _is_stateless(name: str, text: str) -> bool:
    codec = codecs.lookup(with_byte_order(name))
    try:
        whole, _ = codec.encode(text)
        parts = [codec.encode(character)[0] for character in text]
    except UnicodeEncodeError:
        return True
    return b"".join(parts) == whole


def with_byte_order(name: str) -> str:
    """Return the encoding's own name, with the byte order of text without a mark."""
    name = codecs.lookup(name).name
    return {"utf-16": "utf-16-le", "utf-32": "utf-32-le", "utf-8-sig": "utf-8"}.get(name, name)
