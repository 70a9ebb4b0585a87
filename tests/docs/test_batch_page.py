"""The page about batch scoring can be followed."""

import re
import shlex
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from gnomon.command.root import run
from tests.support.packages import make_package

PAGE = Path(__file__).resolve().parents[2] / "docs" / "batch.md"
BLOCKS = dict(re.findall(r"```(\w+)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL))


def test_its_blocks_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    make_package(Path("packages/eta-1"), None)
    rows = {"day": [1, 2], "distance": [800.0, 400.0], "wind": [10.0, 0.0], "carrier": ["UA", "AA"]}
    pa.parquet.write_table(pa.table(rows), "flights.parquet")
    assert run([*shlex.split(BLOCKS["sh"])[1:], "--workers", "1"]) == 0
    answers = pa.parquet.read_table("answers/current")
    assert answers.column_names == [*rows, "air_time"]
    assert "2 rows of 1 files by eta@1: 2 answered, 0 refused" in capsys.readouterr().out
    exec(BLOCKS["python"], {})
    outputs, refused = capsys.readouterr().out.splitlines()
    assert outputs == "{'air_time': [111.0]} [0]"
    assert refused.startswith("1 field 'distance': -1.0 breaks 'minimum'; right would be >= 0")
