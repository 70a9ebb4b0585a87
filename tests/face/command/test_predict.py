"""`gnomon predict` reads rows as JSON lines or as CSV, and says which of them a file is."""

import json
from pathlib import Path

import msgspec
import pytest

from gnomon.command.root import run
from tests.support.packages import linear_onnx, make_package, manifest_fields, package_files


@pytest.fixture
def package(tmp_path: Path) -> str:
    return str(make_package(tmp_path / "package", None).path)


def answers(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_csv_gives_what_its_rows_give_as_json(
    package: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, lines = tmp_path / "rows.csv", tmp_path / "rows.jsonl"
    table.write_bytes("day;distance;wind;carrier\r1;400,5;N/A;AA\r2;400,5;3;AA\r".encode("utf-16"))
    rows = [{"distance": 400.5, "wind": wind, "carrier": "AA"} for wind in (None, 3)]
    lines.write_text("\n".join(map(json.dumps, rows)))
    run(["predict", package, str(lines)])
    expected = answers(capsys)
    assert len(expected) == 2
    run(["predict", package, str(table), "--csv", "--decimal", ","])
    shown = capsys.readouterr()
    assert list(map(json.loads, shown.out.splitlines())) == expected
    assert shown.err == "columns that are no inputs of the package are left out: day\n"


def test_columns_become_fields_by_their_names_and_are_texts_if_the_field_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = package_files(linear_onnx([0.125, 0.1, 0.0, 10.0, 0.0], 0.0))
    for name in ("profile.json", "golden.json"):
        content = files[name]
        assert isinstance(content, bytes)
        files[name] = content.replace(b"wind", b"wind_speed").replace(b'"UA"', b'"07"')
    changed = {
        name: msgspec.convert(
            json.loads(msgspec.json.encode(one).replace(b'"wind"', b'"wind_speed"')), type(one)
        )
        for name, one in manifest_fields().items()
        if name in ("packing", "signature")
    }
    made = make_package(tmp_path / "package", None, files=files, **changed)
    table = tmp_path / "rows.csv"
    table.write_text("distance,wind speed,carrier\n800,10,07\n400,10,07\n")
    assert run(["predict", str(made.path), str(table), "--csv"]) == 0
    outputs = [answer["outputs"] for answer in answers(capsys)]
    assert outputs == [{"air_time": pytest.approx(111)}, {"air_time": pytest.approx(61)}]


def test_a_file_that_is_no_json_is_refused_once(
    package: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "rows.csv"
    table.write_text("distance,wind,carrier\n" + "400,3,AA\n" * 100)
    assert run(["predict", package, str(table)]) == 2
    shown = capsys.readouterr()
    assert "line 1 is not JSON" in shown.err
    assert "say --csv" in shown.err
    assert shown.out == ""
    mixed = tmp_path / "mixed.jsonl"
    mixed.write_text('{"distance": 400, "wind": 3, "carrier": "AA"}\nnot JSON\n')
    assert run(["predict", package, str(mixed)]) == 1
    assert "error" in answers(capsys)[1]
