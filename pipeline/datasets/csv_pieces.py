"""CSV files in stretches of records, with the types that hold each file's values exactly."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
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
from gnomon.pipeline.datasets.row_encoding import DatasetError

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
        zeros: columns of whole numbers that are written with leading zeros.
    """

    types: Mapping[str, pa.DataType]
    worded: frozenset[str]
    inexact: frozenset[str]
    zeros: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Inferred:
    """What Arrow infers from a stretch.

    Attributes:
        types: column → type.
        inexact: columns of numbers that float64 does not hold.
        worded: columns of texts, among them usual words for no value.
        zeros: columns of whole numbers that are written with leading zeros.
    """

    types: Mapping[str, pa.DataType]
    inexact: frozenset[str]
    worded: frozenset[str]
    zeros: frozenset[str]


def _find_columns(lines: Sequence[CsvLines]) -> _Columns:
    filled = [one for one in lines if one.stretch.rows]
    names, dialect = lines[0].header.names, lines[0].dialect
    if unknown := [name for name in dialect.text if name not in names]:
        raise DatasetError(
            f"{lines[0].path}: there is no column {unknown[0]!r} to read as text; there are "
            f"{', '.join(names)}"
        )
    found = _infer_types(filled, [name for name in names if name not in dialect.text], ())
    types = {name: found.types.get(name, pa.string()) for name in names}
    inexact, zeros, worded = set(found.inexact), set(found.zeros), set[str]()
    if found.worded and dialect.usual_words:
        other = _infer_types(filled, sorted(found.worded), USUAL_WORDS)
        worded = {
            name for name, kind in other.types.items() if kind not in (pa.string(), pa.null())
        }
        types |= {name: other.types[name] for name in worded}
        inexact |= other.inexact & worded
        zeros |= other.zeros & worded
    for name in inexact:
        types[name] = _wider_type(filled, name, USUAL_WORDS if name in worded else ())
    worded = {name for name in worded if types[name] != pa.string()}
    return _Columns(types, frozenset(worded), frozenset(inexact), frozenset(zeros))


def _infer_types(
    lines: Sequence[CsvLines], names: Sequence[str], words: Sequence[str]
) -> _Inferred:
    """Return what holds for all stretches.

    A type is the first, in the order in which Arrow tries them, that fits.
    """
    found = [_infer(one, names, words) for one in lines]
    if not found:
        nothing = frozenset[str]()
        return _Inferred(dict.fromkeys(names, pa.null()), nothing, nothing, nothing)
    types = {name: _fitting_type(name, found, lines, words) for name in names}

    def of_type(columns: Iterable[str], *kinds: pa.DataType) -> frozenset[str]:
        return frozenset(name for name in columns if types[name] in kinds)

    return _Inferred(
        types,
        of_type(frozenset().union(*(one.inexact for one in found)), pa.float64()),
        of_type(frozenset().union(*(one.worded for one in found)), pa.string()),
        of_type(frozenset().union(*(one.zeros for one in found)), pa.int64(), pa.float64()),
    )


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
    integers = [name for name in names if types[name] == pa.int64()]
    texts = lines.texts([*floats, *integers], words)
    numbers = {name: table.column(name).combine_chunks() for name in floats}
    inexact = {name for name in floats if not are_floats(texts[name], numbers[name])}
    inexact |= {name for name in integers if _largest(table.column(name)) > LARGEST_WHOLE}
    zeros = {name for name in integers if _has_leading_zeros(texts[name])}
    worded = {
        name
        for name in names
        if types[name] == pa.string() and pc.any(pc.is_in(table.column(name), _WORDS)).as_py()
    }
    return _Inferred(types, frozenset(inexact), frozenset(worded), frozenset(zeros))


def _has_leading_zeros(texts: pa.Array) -> bool:
    return bool(pc.any(pc.match_substring_regex(texts, r"^[+-]?0\d")).as_py())


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
    notes += [
        f"column {name!r}: read as numbers its values lose their leading zeros; to keep them, read "
        "it as text (--text, or `text` in a recipe)"
        for name in sorted(columns.zeros)
    ]
    return tuple(notes)
