"""`gnomon dataset`: fingerprint, record, check."""

import json

import pytest

from gnomon.command.root import run


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def ask(capsys, *arguments, code=0):
    assert run(["dataset", *map(str, arguments), "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_a_record_tells_what_has_changed(tmp_path, capsys):
    data, record = tmp_path / "a.csv", tmp_path / "a.json"
    data.write_text("x,y\n1,a\n2,b\n")
    told = ask(capsys, "fingerprint", data, "--record", record)
    assert told["fingerprint"].startswith("rows-1:")
    assert (told["rows"], told["files"], told["bytes"]) == (2, 1, 12)
    data.write_text("y,x\nb,2\na,1\n")
    told_then = ask(capsys, "check", record)
    assert told_then["same"]
    assert told_then["changed"] == ["a.csv"]
    data.write_text("x,y\n1,a\n3,b\n")
    assert ask(capsys, "check", record, code=1)["fingerprint"] != told["fingerprint"]
    assert run(["dataset", "check", str(record)]) == 1
    shown = capsys.readouterr().out
    assert "changed  a.csv" in shown
    assert "other data" in shown


def test_a_folder_of_files(tmp_path, capsys):
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "a.png").write_bytes(b"a")
    assert run(["dataset", "fingerprint", str(folder), "--no-cache"]) == 0
    assert "files-1:" in capsys.readouterr().out
    (folder / "link").symlink_to("a.png")
    assert run(["dataset", "fingerprint", str(folder)]) == 2
    assert "plain files" in capsys.readouterr().err


def test_a_profile_in_one_pass(tmp_path, capsys):
    data = tmp_path / "a.csv"
    data.write_text("x,y\n" + "".join(f"{number},a\n" for number in range(50)) + ",b\n")
    told = ask(capsys, "profile", data, "--workers", 1)
    assert told["rows"] == 51
    assert [field["name"] for field in told["fields"]] == ["x", "y"]
    assert told["reference"]["fields"][1]["counts"] == [50, 1, 0, 0, 0]
    assert run(["dataset", "profile", str(data), "--columns", "x", "--workers", "1"]) == 0
    assert "1.96 %" in capsys.readouterr().out
