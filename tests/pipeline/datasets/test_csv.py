"""CSV files of any dialect are the rows that were written, whatever the size of a stretch."""

import io
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gnomon.core.csv_records import find_records
from gnomon.pipeline.datasets.csv_dialect import CsvDialect
from gnomon.pipeline.datasets.csv_pieces import csv_pieces
from gnomon.pipeline.datasets.dataset import Dataset
from gnomon.pipeline.datasets.fingerprint import DatasetError
from gnomon.pipeline.datasets.pieces import Piece, reading_notes, table_pieces
from gnomon.pipeline.datasets.record import check_record, fingerprint_rows, record_dataset
from gnomon.pipeline.profiles.pieces import profile_pieces

DQ = '"'
texts = st.text(st.sampled_from('ab1"\n\r,;\t|é日 '), min_size=1, max_size=6)
rows_of_all_kinds = st.lists(
    st.tuples(texts, st.integers(-(2**53), 2**53), st.floats(-1e6, 1e6).map(lambda x: round(x, 3))),
    min_size=1,
    max_size=9,
)


@st.composite
def dialects(draw):
    delimiter = draw(st.sampled_from([",", ";", "\t", "|"]))
    return {
        "delimiter": delimiter,
        "all_quoted": draw(st.booleans()),
        "line_end": draw(st.sampled_from(["\n", "\r", "\r\n"])),
        "encoding": draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-be"])),
        "decimal": draw(st.sampled_from([".", ","] if delimiter != "," else ["."])),
        "is_ended": draw(st.booleans()),
    }


def quoted(value, written):
    is_plain = not set(value) & {'"', "\r", "\n", written["delimiter"]}
    return value if is_plain and not written["all_quoted"] else f'"{value.replace(DQ, DQ * 2)}"'


def write(path, names, rows, written):
    shown = [[label, str(i), str(x).replace(".", written["decimal"])] for label, i, x in rows]
    lines = [written["delimiter"].join(quoted(one, written) for one in row) for row in shown]
    header = written["delimiter"].join(quoted(name, written) for name in names)
    content = "".join(line + written["line_end"] for line in [header, *lines])
    path.write_text(
        content if written["is_ended"] else content.removesuffix(written["line_end"]),
        encoding=written["encoding"],
        newline="",
    )


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(rows=rows_of_all_kinds, written=dialects(), size=st.integers(1, 60))
def test_a_table_written_in_any_dialect_is_the_same_table(tmp_path_factory, rows, written, size):
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    names = ['a "name"\nof two lines', "whole", "real"]
    write(path, names, rows, written)
    marked = written["encoding"] in ("utf-8-sig", "utf-16", "utf-32")
    dialect = CsvDialect(
        delimiter=written["delimiter"],
        decimal=written["decimal"],
        encoding="" if marked else written["encoding"],
    )
    columns = [pa.array(one) for one in zip(*rows, strict=True)]
    expected = Dataset(pa.table(dict(zip(names, columns, strict=True))), "")
    lines, schema = csv_pieces(path, dialect, size)
    pieces = [Piece(one, schema) for one in lines]
    types = dict(zip(schema.names, schema.types, strict=True))
    if types[names[0]] == pa.string():
        found = pa.Table.from_batches([b for piece in pieces for b in piece.batches()], schema)
        assert found.to_pylist() == expected.table.to_pylist()
        assert fingerprint_rows(pieces) == (expected.fingerprint, len(rows))
    whole = [Piece(one, kind) for one, kind in [(line, schema) for line in lines]]
    assert profile_pieces(whole, ["whole", "real"]) == profile_pieces(
        table_pieces([path], dialect), ["whole", "real"]
    )


@settings(max_examples=300, deadline=None)
@given(text=st.text(st.sampled_from('ab",\n\r'), max_size=30))
def test_records_are_those_of_arrow(text):
    data = text.encode()
    ends, widths, is_open = find_records(np.frombuffer(data, np.uint8), ",")
    assert list(ends) == sorted(set(ends))
    assert ends[-1:].tolist() == [len(data)][: len(ends)]
    if is_open or not (widths > 0).any() or len(set(widths[widths > 0])) > 1:
        return
    columns = [f"c{number}" for number in range(max(widths))]
    table = pa.csv.read_csv(
        io.BytesIO(data),
        pa.csv.ReadOptions(column_names=columns),
        pa.csv.ParseOptions(newlines_in_values=True),
    )
    assert table.num_rows == np.count_nonzero(widths)


def fingerprint_of(path, **dialect):
    return Dataset.from_csv(path, CsvDialect(**dialect)).fingerprint


@pytest.mark.parametrize("line_end", ["\r", "\n", "\r\n"])
def test_a_check_sees_changes_whatever_ends_a_line(tmp_path, line_end):
    path = tmp_path / "t.csv"
    path.write_bytes(line_end.join(["a,b", "1,2", "3,4", ""]).encode())
    record = record_dataset([path], beside=tmp_path)
    assert record.rows == 2
    path.write_bytes(line_end.join(["a,b", "9,8", "7,6", ""]).encode())
    assert not check_record(record, tmp_path).is_same


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"x,x,y\n1,2,3\n", r"the name 'x' 2 times \(columns 1, 2\)"),
        (b"a,b\n1,2\n1\n", r"row 2 has 1 values, but the header names 2 columns .*ragged"),
        (b"a,b\n1,2\n\n1,2,3\n", r"row 2 has 3 values, but the header names 2 columns"),
        (b'a,b\n1,2\n1,"x\n1,2\n', r"quoted value in row 2 does not end"),
        (b'a,"b\n1,2\n', "quoted name that does not end"),
        (b"\n\n", "no line that names columns"),
        (b"a,b\n1,caf\xe9\n", r"byte 9 is no text in utf-8 .*set the encoding"),
        ("id,x\n1,2\n".encode("utf-16-le"), "zero byte .* set the encoding"),
    ],
)
def test_what_is_no_table_is_refused_by_name(tmp_path, content, message):
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    for read in (Dataset.from_csv, lambda one: table_pieces([one])):
        with pytest.raises(DatasetError, match=rf"t\.csv.*{message}"):
            read(path)


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"delimiter": ",", "decimal": ","}, "are both ','"),
        ({"delimiter": "::"}, "one ASCII character"),
        ({"decimal": "_"}, "decimal should be"),
        ({"encoding": "rot13"}, "no text encoding"),
        ({"encoding": "nonsense"}, "no text encoding"),
        ({"encoding": "utf-7"}, "bytes depend on those before"),
    ],
)
def test_settings_that_no_reader_can_follow_are_refused(settings_, message):
    with pytest.raises(DatasetError, match=message):
        CsvDialect(**settings_)


def test_the_delimiter_is_outside_of_quotes_and_is_no_decimal_mark(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('"a,b";c\n1;2\n')
    assert Dataset.from_csv(path).table.column_names == ["a,b", "c"]
    path.write_text("a,b\n1,2\n")
    with pytest.raises(DatasetError, match="decimal mark too; set the delimiter"):
        Dataset.from_csv(path, CsvDialect(decimal=","))


def test_short_rows_are_filled_if_that_is_requested(tmp_path):
    short, full = tmp_path / "short.csv", tmp_path / "full.csv"
    short.write_bytes(b'a,b,c\n1,2,3\r\n4\n"5"\r6,7\n8')
    full.write_bytes(b"a,b,c\n1,2,3\n4,,\n5,,\n6,7,\n8,,\n")
    assert fingerprint_of(short, ragged="fill") == fingerprint_of(full)
    notes = reading_notes(table_pieces([short], CsvDialect(ragged="fill")))
    assert "4 rows have fewer values than columns; the last ones are missing" in notes


@pytest.mark.parametrize("word", ["N/A", "null", "NaN", "?", "-", "None"])
def test_the_usual_words_are_missing_among_numbers_and_texts_among_texts(tmp_path, word):
    worded, empty = tmp_path / "worded.csv", tmp_path / "empty.csv"
    worded.write_text(f"n,s\n1,{word}\n{word},x\n2.5,y\n")
    empty.write_text(f"n,s\n1,{word}\n,x\n2.5,y\n")
    assert fingerprint_of(worded) == fingerprint_of(empty)
    table = Dataset.from_csv(worded).table
    assert table.column("s").to_pylist() == [word, "x", "y"]
    exact = Dataset.from_csv(worded, CsvDialect(usual_words=False)).table
    if word != "NaN":
        assert exact.column("n").to_pylist() == ["1", word, "2.5"]


def test_a_reader_says_how_it_read(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes("a;b\r1,5;N/A\r2,5;7\r".encode("utf-16"))
    notes = reading_notes(table_pieces([path], CsvDialect(decimal=",")))
    assert notes == [
        "read as utf-16-le, delimiter ';', decimal mark ',', line ends CR",
        "column 'b': the usual words for no value, such as N/A, are missing values",
    ]
    path.write_text("a,b\n")
    assert reading_notes(table_pieces([path]))[1:] == ["there is no row"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["18446744073709551615"], ["18446744073709551614"]),
        (["9223372036854775808", "-5"], ["9223372036854775809", "-5"]),
        (["9007199254740993", "0.5"], ["9007199254740992", "0.5"]),
        (["12345678901234567.89"], ["12345678901234567.88"]),
        (["1" * 60], ["1" * 59 + "2"]),
        (["1e400"], ["1e401"]),
        (["1e-400", "1.5"], ["0", "1.5"]),
        (["18446744073709551615", "N/A"], ["18446744073709551614", "N/A"]),
    ],
)
def test_numbers_that_differ_are_other_rows(tmp_path, one, other):
    found = []
    for number, values in enumerate((one, other)):
        path = tmp_path / f"{number}.csv"
        path.write_text("\n".join(["id", *values]))
        found.append(fingerprint_of(path))
        lines, schema = csv_pieces(path, CsvDialect(), 18)
        assert fingerprint_rows([Piece(line, schema) for line in lines]) == (found[-1], len(values))
    assert found[0] != found[1]


def test_parts_of_decimals_and_of_floats_are_refused(tmp_path):
    paths = [tmp_path / "decimals.csv", tmp_path / "floats.csv"]
    for path, number in zip(paths, ("12345678901234567.89", "1e300"), strict=True):
        path.write_text(f"id\n{number}\n")
    with pytest.raises(DatasetError, match=r"'id' is decimal128\(\d+, 2\), double in different"):
        table_pieces(paths)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["12345678901234567890.123456789012345678", "0.5"], pa.decimal128(38, 18)),
        (["0.12345678901234567890123456789012345678"], pa.decimal128(38, 38)),
        (["-1e37", "12345678901234567890"], pa.decimal128(38, 0)),
        (["123456789012345678901.123456789012345678"], pa.string()),
    ],
)
def test_a_column_is_of_decimals_as_long_as_they_hold_its_digits(tmp_path, values, kind):
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["id", *values]))
    column = Dataset.from_csv(path).table.column("id")
    assert column.type == kind
    assert [Decimal(one) for one in column.to_pylist()] == [Decimal(one) for one in values]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5))
@example([2.0**-24])
def test_columns_of_floats_stay_floats_however_they_are_printed(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("floats") / "a.csv"
    for shown in (repr, "{:.18e}".format, "{:.17g}".format):
        path.write_text("\n".join(["x", "0.5", *map(shown, values)]))
        assert Dataset.from_csv(path).table.column("x").to_pylist()[1:] == values


def test_leading_zeros_are_said_and_kept_if_that_is_requested(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("zip,x\n01234,0\nN/A,0.5\n")
    assert (
        "'zip': read as numbers its values lose their leading zeros"
        in reading_notes(table_pieces([path]))[2]
    )
    path.write_text("zip,x\n01234,0\n12345,0.5\n")
    notes = reading_notes(table_pieces([path]))
    assert len(notes) == 2
    assert "column 'zip': read as numbers its values lose their leading zeros" in notes[1]
    table = Dataset.from_csv(path, CsvDialect(text=("zip",))).table
    assert table.column("zip").to_pylist() == ["01234", "12345"]
    with pytest.raises(DatasetError, match="no column 'zap' to read as text; there are zip, x"):
        Dataset.from_csv(path, CsvDialect(text=("zap",)))


def test_long_values_and_many_rows_are_read_as_short_ones(tmp_path):
    path = tmp_path / "t.csv"
    lines = [f'{row},"first {row}\nsecond"' for row in range(60_000)]
    path.write_text("\n".join(["id,note", *lines, f'60000,"{"long " * 500_000}"', ""]))
    table = Dataset.from_csv(path).table
    assert table.num_rows == 60_001
    assert table.column("note")[59_999].as_py() == "first 59999\nsecond"
