"""The bench of batch scoring scores, and its kills leave the bytes of a run that was not killed."""

from pathlib import Path

import pytest

from gnomon.bench.data import batch


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return batch.make_package(tmp_path_factory.mktemp("package") / "trees-1")


def test_both_kinds_answer_all_rows(package: Path, tmp_path: Path) -> None:
    batch.write_rows(tmp_path / "rows.parquet", 1_000)
    costs = batch.measure(package, tmp_path / "rows.parquet", tmp_path, 1, 1)
    assert all(cost.cpu_seconds > 0 for cost in costs.values())
    tables = [
        batch.pyarrow.parquet.read_table(tmp_path / name) for name in ("out-0/current", "floor-0")
    ]
    assert tables[0].column("prediction").equals(tables[1].column("prediction"))
    assert tables[0].num_rows == 1_000


def test_a_killed_run_ends_whole(
    package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    batch.write_rows(tmp_path / "rows.parquet", 1_000)
    assert batch.check_kills(package, tmp_path / "rows.parquet", tmp_path, 1) == 0
    assert "ended with the bytes" in capsys.readouterr().out
