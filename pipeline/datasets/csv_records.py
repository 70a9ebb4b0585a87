"""The records of a CSV file, in stretches that begin and end with a record.

Line ends are LF, CR or CRLF; within quotes they are part of a value. A file is scanned once, by
the rules of Arrow's parser, which then reads each stretch: so both see the same records.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.csv
from numpy.typing import NDArray

from gnomon.core.csv_records import find_records
from gnomon.pipeline.datasets.csv_dialect import DELIMITERS, CsvDialect
from gnomon.pipeline.datasets.csv_text import CsvText
from gnomon.pipeline.datasets.row_encoding import DatasetError

__all__ = ["Header", "Stretch", "fill_short_rows", "parse_options", "read_header", "stretches"]

_HEADER_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Header:
    """The names of the columns, the delimiter, and the byte after the header."""

    names: tuple[str, ...]
    delimiter: str
    end: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """Records from byte `start` to byte `end`, with what a reader must know and say of them.

    Attributes:
        start: the byte at which the first record begins.
        end: the byte after the last.
        rows: the number of records without empty lines.
        empty_lines: the number of lines of no bytes.
        longest: the bytes of the longest record in UTF-8.
        short: the number of records with fewer values than there are columns.
        line_ends: how often each of LF, CRLF and CR ends a record.
        broken_values: whether a value has a line break.
    """

    start: int
    end: int
    rows: int
    empty_lines: int
    longest: int
    short: int
    line_ends: Counter[str]
    broken_values: bool


def read_header(text: CsvText, dialect: CsvDialect) -> Header:
    """Return what the first record that is no empty line says.

    Raises:
        DatasetError: no record names columns, or a name comes twice.
    """
    size = _HEADER_BYTES
    while True:
        data = text.read(text.start, text.start + size)
        is_whole = text.start + size >= text.path.stat().st_size
        delimiter = dialect.delimiter or _delimiter(data)
        ends, widths, is_open = find_records(np.frombuffer(data, np.uint8), delimiter)
        chosen = np.flatnonzero(widths)
        if is_whole or (len(chosen) and chosen[0] + 1 < len(ends)):
            break
        size *= 4
    if not len(chosen):
        raise DatasetError(f"{text.path} has no line that names columns")
    first = int(chosen[0])
    if is_open and first + 1 == len(ends):
        raise DatasetError(f"{text.path}: the header has a quoted name that does not end")
    if delimiter == dialect.decimal:
        raise DatasetError(
            f"{text.path}: values are separated by {delimiter!r}, which is the decimal mark too; "
            "set the delimiter"
        )
    end = int(ends[first])
    names = _parse_names(data[:end], int(widths[first]), delimiter)
    for name, count in Counter(names).items():
        if count > 1:
            places = ", ".join(str(at + 1) for at, one in enumerate(names) if one == name)
            raise DatasetError(
                f"{text.path}: the header has the name {name!r} {count} times (columns {places}); "
                "column names must differ"
            )
    return Header(names, delimiter, text.start + text.length(data[:end]))


def stretches(
    text: CsvText, header: Header, dialect: CsvDialect, stretch_bytes: int
) -> Iterator[Stretch]:
    """Yield the records after the header in stretches.

    Args:
        text: the file.
        header: its columns and delimiter.
        dialect: how it is written.
        stretch_bytes: the approximate bytes of a stretch.

    Raises:
        DatasetError: the text cannot be decoded, a row has the wrong number of values, or a quoted
            value does not end.
    """
    at, rows, size = header.end, 0, text.path.stat().st_size
    while at < size:
        data, records = _whole_records(text, header.delimiter, at, stretch_bytes, rows)
        end = int(records.ends[-1]) if len(records.ends) else len(data)
        short = _check_widths(text, header, dialect, records.widths, rows)
        stop = at + text.length(data[:end])
        yield _describe(at, stop, data[:end], records, short)
        rows, at = rows + int(np.count_nonzero(records.widths)), stop


def fill_short_rows(data: bytes, header: Header) -> bytes:
    """Return the text with a missing value for each one that a row lacks."""
    ends, widths, _ = find_records(np.frombuffer(data, np.uint8), header.delimiter)
    parts, at = [], 0
    for row in np.flatnonzero((widths < len(header.names)) & (widths > 0)):
        end = int(ends[row])
        line = data[at:end]
        body = line.rstrip(b"\r\n") if _is_ended(data, end) else line
        lacking = header.delimiter * (len(header.names) - int(widths[row]))
        parts += [body, lacking.encode(), line[len(body) :]]
        at = end
    return b"".join([*parts, data[at:]])


def parse_options(delimiter: str) -> pyarrow.csv.ParseOptions:
    """Return the options by which Arrow's parser finds the same records and values."""
    return pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True)


def _delimiter(data: bytes) -> str:
    """Return the first delimiter that the header has outside of quotes."""
    for delimiter in DELIMITERS:
        _, widths, _ = find_records(np.frombuffer(data, np.uint8), delimiter)
        named = widths[widths > 0]
        if len(named) and named[0] > 1:
            return delimiter
    return DELIMITERS[0]


def _parse_names(data: bytes, width: int, delimiter: str) -> tuple[str, ...]:
    table = pyarrow.csv.read_csv(
        pa.BufferReader(data),
        pyarrow.csv.ReadOptions(autogenerate_column_names=True, block_size=len(data) + 1),
        parse_options(delimiter),
        pyarrow.csv.ConvertOptions(
            column_types={f"f{number}": pa.string() for number in range(width)}
        ),
    )
    return tuple(str(column[0]) for column in table.columns)


def _is_ended(data: bytes, end: int) -> bool:
    return data[end - 1 : end] in (b"\n", b"\r")


@dataclass(frozen=True, slots=True)
class _Records:
    """Where records end, and how many values each has."""

    ends: NDArray[np.int64]
    widths: NDArray[np.int32]


def _whole_records(
    text: CsvText, delimiter: str, at: int, stretch_bytes: int, rows: int
) -> tuple[bytes, _Records]:
    """Return at least one record from byte `at` on, and the records up to the last whole one."""
    size = text.path.stat().st_size
    while True:
        data = text.read(at, at + stretch_bytes)
        ends, widths, is_open = find_records(np.frombuffer(data, np.uint8), delimiter)
        if at + stretch_bytes >= size:
            if is_open:
                raise DatasetError(
                    f"{text.path}: a quoted value in row {rows + np.count_nonzero(widths)} "
                    "does not end"
                )
            return data, _Records(ends, widths)
        if len(ends) and (is_open or not _is_ended(data, int(ends[-1]))):
            ends, widths = ends[:-1], widths[:-1]
        if len(ends):
            return data, _Records(ends, widths)
        stretch_bytes *= 2


def _describe(start: int, end: int, data: bytes, records: _Records, short: int) -> Stretch:
    found = np.frombuffer(data, np.uint8)
    last = found[records.ends - 1]
    before = np.where(records.ends > 1, found[records.ends - 2], 0)
    is_feed, is_return = last == ord("\n"), last == ord("\r")
    pairs = int(np.count_nonzero(is_feed & (before == ord("\r"))))
    line_ends = Counter(
        CRLF=pairs, LF=int(np.count_nonzero(is_feed)) - pairs, CR=int(np.count_nonzero(is_return))
    )
    breaks = data.count(b"\n") + data.count(b"\r")
    rows = int(np.count_nonzero(records.widths))
    return Stretch(
        start=start,
        end=end,
        rows=rows,
        empty_lines=len(records.widths) - rows,
        longest=int(np.diff(records.ends, prepend=0).max(initial=0)),
        short=short,
        line_ends=line_ends,
        broken_values=breaks > pairs + line_ends.total(),
    )


def _check_widths(
    text: CsvText, header: Header, dialect: CsvDialect, widths: NDArray[np.int32], rows: int
) -> int:
    """Return the number of rows that lack values; refuse those that the dialect does not allow."""
    expected = len(header.names)
    is_short = (widths < expected) & (widths > 0)
    wrong = widths > expected
    if dialect.ragged == "refuse":
        wrong |= is_short
    if not wrong.any():
        return int(np.count_nonzero(is_short))
    first = int(np.argmax(wrong))
    row = rows + int(np.count_nonzero(widths[: first + 1]))
    cure = "" if widths[first] > expected else "; ragged = 'fill' takes the last ones as missing"
    raise DatasetError(
        f"{text.path}: row {row} has {widths[first]} values, but the header names {expected} "
        f"columns (delimiter {header.delimiter!r}){cure}"
    )
