"""CSV files in stretches of records, with the types that hold each file's values exactly."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from gnomon.core.kinds import LARGEST_WHOLE
from gnomon.pipeline.datasets.csv_dialect import USUAL_WORDS, CsvDialect
from gnomon.pipeline.datasets.csv_lines import CsvLines
from gnomon.pipeline.datasets.csv_records import Stretch, read_header, stretches
from gnomon.pipeline.datasets.csv_text import open_text
from gnomon.pipeline.datasets.csv_types import are_floats, fitting_type, wider_types

__all__ = ["csv_pieces"]

#: The approximate bytes of a stretch.
STRETCH_BYTES = 64 << 20

_WORDS = pa.array(USUAL_WORDS)


def csv_pieces(
    path: Path, dialect: CsvDialect, stretch_bytes: int = STRETCH_BYTES
) -> tuple[list[CsvLines], pa.Schema]:
    """Return the stretches of one file, and the schema that reading it whole would give.

    Raises:
        DatasetError: the file is empty, not text of its encoding, or no table.
        pa.ArrowInvalid: it is no CSV.
    """
    text = open_text(path, dialect.encoding)
    header = read_header(text, dialect)
    nothing = Stretch(header.end, header.end, 0, 0, 0, 0, Counter(), broken_values=False)
    found = list(stretches(text, header, dialect, stretch_bytes)) or [nothing]
    lines = [CsvLines(text, header, dialect, one) for one in found]
    columns = _find_columns(lines)
    known = {name: kind for name, kind in columns.types.items() if kind != pa.null()}
    notes = _describe(lines, columns)
    read = [replace(one, types=known, worded=columns.worded, notes=notes) for one in lines]
    return read, pa.schema(list(columns.types.items()))


@dataclass(frozen=True, slots=True)
class _Columns:
    """The type of each column.

    Attributes:
        types: column → type.
        worded: columns in which the usual words stand for no value.
        inexact: columns of numbers that float64 does not hold.
    """

    types: Mapping[str, pa.DataType]
    worded: frozenset[str]
    inexact: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Inferred:
    """What Arrow infers from a stretch.

    Attributes:
        types: column → type.
        inexact: columns of numbers that float64 does not hold.
        worded: columns of texts, among them usual words for no value.
    """

    types: Mapping[str, pa.DataType]
    inexact: frozenset[str]
    worded: frozenset[str]


def _find_columns(lines: Sequence[CsvLines]) -> _Columns:
    filled = [one for one in lines if one.stretch.rows]
    names = lines[0].header.names
    types, inexact, wordy = _infer_types(filled, names, ())
    worded: set[str] = set()
    if wordy and lines[0].dialect.usual_words:
        other, inexact_too, _ = _infer_types(filled, wordy, USUAL_WORDS)
        worded = {name for name in wordy if other[name] not in (pa.string(), pa.null())}
        types |= {name: other[name] for name in worded}
        inexact |= inexact_too & worded
    for name in inexact:
        types[name] = _wider_type(filled, name, USUAL_WORDS if name in worded else ())
    worded = {name for name in worded if types[name] != pa.string()}
    return _Columns(types, frozenset(worded), frozenset(inexact))


def _infer_types(
    lines: Sequence[CsvLines], names: Sequence[str], words: Sequence[str]
) -> tuple[dict[str, pa.DataType], set[str], list[str]]:
    """Return types that fit all stretches, columns that floats do not hold, and those with words.

    A type is the first, in the order in which Arrow tries them, that fits.
    """
    found = [_infer(one, names, words) for one in lines]
    if not found:
        return dict.fromkeys(names, pa.null()), set(), []
    types = {name: _fitting_type(name, found, lines, words) for name in names}
    inexact = {
        name
        for name in names
        if types[name] == pa.float64() and any(name in one.inexact for one in found)
    }
    wordy = [
        name
        for name in names
        if types[name] == pa.string() and any(name in one.worded for one in found)
    ]
    return types, inexact, wordy


def _fitting_type(
    name: str, found: Sequence[_Inferred], lines: Sequence[CsvLines], words: Sequence[str]
) -> pa.DataType:
    return fitting_type(
        [one.types[name] for one in found],
        lambda number, kind: lines[number].fits(name, kind, words),
    )


def _infer(lines: CsvLines, names: Sequence[str], words: Sequence[str]) -> _Inferred:
    table = lines.read(names, None, words)
    types = {name: table.field(name).type for name in names}
    floats = [name for name in names if types[name] == pa.float64()]
    texts = lines.texts(floats, words)
    inexact = {
        name for name in floats if not are_floats(texts[name], table.column(name).combine_chunks())
    }
    inexact |= {
        name
        for name in names
        if types[name] == pa.int64() and _largest(table.column(name)) > LARGEST_WHOLE
    }
    worded = {
        name
        for name in names
        if types[name] == pa.string() and pc.any(pc.is_in(table.column(name), _WORDS)).as_py()
    }
    return _Inferred(types, frozenset(inexact), frozenset(worded))


def _largest(column: pa.ChunkedArray) -> int:
    """Return the largest magnitude of whole numbers."""
    bounds = pc.min_max(column).as_py()
    return max(-(bounds["min"] or 0), bounds["max"] or 0)


def _wider_type(lines: Sequence[CsvLines], name: str, words: Sequence[str]) -> pa.DataType:
    """Return a type that holds all numbers of a column, or that of texts."""
    for kind in wider_types(one.texts([name], words)[name] for one in lines):
        if all(one.fits(name, kind, words) for one in lines):
            return kind
    return pa.string()


def _describe(lines: Sequence[CsvLines], columns: _Columns) -> tuple[str, ...]:
    """Return how the file was read, in sentences."""
    first, found = lines[0], [one.stretch for one in lines]
    ends: Counter[str] = sum((one.line_ends for one in found), Counter())
    shown = "/".join(name for name, count in ends.most_common() if count) or "none"
    notes = [
        f"read as {first.text.encoding}, delimiter {first.header.delimiter!r}, "
        f"decimal mark {first.dialect.decimal!r}, line ends {shown}"
    ]
    if not sum(one.rows for one in found):
        notes.append("there is no row")
    if any(one.broken_values for one in found):
        notes.append("values have line breaks within quotes")
    if short := sum(one.short for one in found):
        notes.append(f"{short:,} rows have fewer values than columns; the last ones are missing")
    empty = sum(one.empty_lines for one in found)
    if empty and len(columns.types) == 1:
        notes.append(f'{empty:,} empty lines are left out; a missing value is written ""')
    notes += [
        f"column {name!r}: the usual words for no value, such as N/A, are missing values"
        for name in sorted(columns.worded)
    ]
    notes += [
        f"column {name!r}: float64 does not hold all of its numbers; it is read as "
        f"{columns.types[name]}"
        for name in sorted(columns.inexact)
    ]
    return tuple(notes)
