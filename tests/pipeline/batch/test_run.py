"""A batch run scores every row once, gives the digits of an agent, and survives any kill."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet
import pytest

from gnomon.command.root import run
from gnomon.edge.agent import Agent
from gnomon.pipeline.batch import parts, scoring
from gnomon.pipeline.batch.run import REFUSED, BatchJob, BatchResult, run_batch
from gnomon.pipeline.datasets.row_encoding import DatasetError
from gnomon.pipeline.profiles.spread import in_processes
from gnomon.runtime.errors import StorageError
from tests.support.packages import make_package

#: Rows 1 and 5 break the contract of the inputs, row 3 that of the outputs.
ROWS = {
    "id": [10, 11, 12, 13, 14, 15, 16],
    "distance": [800.0, -1.0, 400.0, 9_000.0, 100.0, 50.0, 300.0],
    "wind": [10.0, 1.0, None, 0.0, 500.0, 2.0, 3.0],
    "carrier": ["UA", "AA", "WN", "AA", "AA", None, "UA"],
}
ANSWERED = [10, 12, 14, 16]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_package(tmp_path_factory.mktemp("package") / "eta-1", None).path


@pytest.fixture(autouse=True)
def _one_scorer() -> Iterator[None]:
    """Close the package that a run in this process has opened."""
    yield
    if parts._scorer.cache_info().currsize:
        parts._scorer.cache_clear()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Two files of Parquet; the first one has two groups of rows."""
    folder = tmp_path / "in"
    folder.mkdir()
    pa.parquet.write_table(pa.table(ROWS), folder / "a.parquet", row_group_size=4)
    pa.parquet.write_table(pa.table(ROWS).slice(0, 3), folder / "b.parquet")
    return folder


def score(source: Path, output: Path, package: Path, **changes: Any) -> BatchResult:
    job = BatchJob(source, output, package, refused_share=1.0)
    return run_batch(job._replace(**changes), in_processes(1))


def table_of(result: BatchResult) -> pa.Table:
    readers = {
        "parquet": pa.parquet.read_table,
        "csv": pa.csv.read_csv,
        "arrow": lambda path: pa.ipc.open_file(path).read_all(),
    }
    ending = result.manifest.parameters.format
    tables = [readers[ending](result.folder / part.name) for part in result.manifest.parts]
    return pa.concat_tables(tables, promote_options="permissive")


def refusals(result: BatchResult) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (result.folder / REFUSED).read_bytes().splitlines()]


@pytest.mark.parametrize("format", parts.FORMATS)
def test_answers_are_those_of_an_agent_and_refusals_have_their_place(
    source: Path, tmp_path: Path, package: Path, format: str
) -> None:
    result = score(source, tmp_path / "out", package, keep=("id",), format=format)
    found = table_of(result).to_pydict()
    assert found["id"] == [*ANSWERED, 10, 12]
    rows = pa.table(ROWS).to_pylist()
    with Agent(package=package) as agent:
        own = {
            row["id"]: agent.predict({k: v for k, v in row.items() if k != "id"}).outputs
            for row in rows
            if row["id"] in ANSWERED
        }
    assert found["air_time"] == pytest.approx([own[id]["air_time"] for id in found["id"]], rel=1e-7)
    assert [(one["file"], one["row"], one["code"]) for one in refusals(result)] == [
        ("a.parquet", 1, "invalid_input"),
        ("a.parquet", 3, "invalid_output"),
        ("a.parquet", 5, "invalid_input"),
        ("b.parquet", 1, "invalid_input"),
    ]
    assert result.manifest.refused_by == {
        "air_time: maximum": 1,
        "carrier: null": 1,
        "distance: minimum": 2,
        "row: calm": 2,
    }
    assert (result.manifest.rows, result.manifest.answered, result.manifest.refused) == (10, 6, 4)


def test_a_float32_output_keeps_its_bits(source: Path, tmp_path: Path, package: Path) -> None:
    table = table_of(score(source, tmp_path / "out", package))
    assert table.schema.field("air_time").type == pa.float32()
    assert table.column_names == [*ROWS, "air_time"]


def test_csv_is_read_by_the_contract(tmp_path: Path, package: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("id;distance;wind;carrier\n1;800,5;NA;UA\n2;100;3;AA\n")
    dialect = BatchJob(path, path, path).dialect
    job = {"dialect": type(dialect)(decimal=",")}
    found = table_of(score(path, tmp_path / "out", package, **job)).to_pydict()
    assert found["air_time"] == pytest.approx([110.0625, 12.8])


def test_rows_that_cannot_be_read_at_all_are_refused_with_the_reason(
    tmp_path: Path, package: Path
) -> None:
    path = tmp_path / "rows.parquet"
    pa.parquet.write_table(pa.table({"distance": ["a", "b"], "wind": [1.0, 2.0]}), path)
    result = score(path, tmp_path / "out", package)
    assert result.manifest.refused == 2
    assert all("distance" in one["message"] or "carrier" in str(one) for one in refusals(result))


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "lock"
    }


class Killed(BaseException):
    """Ends a run as a kill does: no code of it gets to tidy up."""


def kill_at(number: int, patched: pytest.MonkeyPatch) -> Callable[[], int]:
    """End the process before or after a call that changes a folder; return how many were passed."""
    passed = 0

    def pass_one() -> None:
        nonlocal passed
        passed += 1
        if passed == number:
            raise Killed

    def watched(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            pass_one()
            result = original(*arguments, **options)
            pass_one()
            return result

        return call

    for owner, name in ((Path, "replace"), (Path, "unlink"), (os, "fsync"), (Path, "symlink_to")):
        patched.setattr(owner, name, watched(getattr(owner, name)))
    return lambda: passed


def test_a_run_killed_anywhere_and_repeated_gives_the_bytes_of_one_that_was_not(
    source: Path, tmp_path: Path, package: Path
) -> None:
    undisturbed = tree(score(source, tmp_path / "whole", package).folder.parent)
    assert undisturbed
    for number in range(1, 1_000):
        output = tmp_path / f"killed-{number}"
        with pytest.MonkeyPatch.context() as patched:
            passed = kill_at(number, patched)
            try:
                score(source, output, package)
            except Killed:
                was_killed = True
            else:
                was_killed = False
        assert score(source, output, package).manifest.rows == 10
        assert tree(output / "runs") == undisturbed, number
        assert (output / "current").resolve().parent == (output / "runs").resolve()
        if not was_killed:
            break
    assert passed() > 50


def test_the_same_work_is_done_once_unless_it_is_forced(
    source: Path, tmp_path: Path, package: Path
) -> None:
    first = score(source, tmp_path / "out", package)
    again = score(source, tmp_path / "out", package)
    assert (first.was_done, again.was_done, again.folder) == (False, True, first.folder)
    forced = score(source, tmp_path / "out", package, is_forced=True)
    assert (forced.was_done, forced.folder != first.folder) == (False, True)
    assert tree(first.folder) == tree(forced.folder)
    assert (tmp_path / "out" / "current").resolve() == forced.folder.resolve()
    other = score(source, tmp_path / "out", package, prefix="predicted_")
    assert not other.was_done
    assert "predicted_air_time" in table_of(other).column_names


def test_a_changed_file_is_other_work(source: Path, tmp_path: Path, package: Path) -> None:
    score(source, tmp_path / "out", package)
    pa.parquet.write_table(pa.table(ROWS).slice(2, 1), source / "b.parquet")
    assert score(source, tmp_path / "out", package).manifest.rows == 8


def test_a_run_that_refuses_too_much_leaves_the_last_good_one_in_place(
    source: Path, tmp_path: Path, package: Path
) -> None:
    good = score(source, tmp_path / "out", package)
    pa.parquet.write_table(pa.table(ROWS).slice(1, 1), source / "b.parquet")
    bad = score(source, tmp_path / "out", package, refused_share=0.3)
    assert bad.manifest.is_quarantined
    assert (tmp_path / "out" / "current").resolve() == good.folder.resolve()
    assert refusals(bad)


def test_no_rows_are_no_refusals(tmp_path: Path, package: Path) -> None:
    path = tmp_path / "rows.parquet"
    pa.parquet.write_table(pa.table(ROWS).slice(0, 0), path)
    result = score(path, tmp_path / "out", package, refused_share=0.0)
    assert (result.manifest.rows, result.manifest.is_quarantined) == (0, False)
    assert table_of(result).column_names == [*ROWS, "air_time"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"keep": ("nothing",)}, "no column 'nothing'"),
        ({"prefix": "", "keep": ("air_time",)}, "'air_time' is named as a column"),
        ({"format": "csv", "prefix": "p_"}, "csv cannot hold these columns .*list"),
    ],
)
def test_wrong_calls_name_what_is_wrong_and_write_nothing(
    tmp_path: Path, package: Path, changes: dict[str, Any], message: str
) -> None:
    path = tmp_path / "rows.parquet"
    pa.parquet.write_table(pa.table(ROWS | {"air_time": [0.0] * 7, "parts": [[1]] * 7}), path)
    with pytest.raises(DatasetError, match=message):
        score(path, tmp_path / "out", package, **changes)
    assert not (tmp_path / "out").exists()


def test_a_source_without_any_field_is_refused(tmp_path: Path, package: Path) -> None:
    path = tmp_path / "rows.parquet"
    pa.parquet.write_table(pa.table({"speed": [1.0]}), path)
    with pytest.raises(DatasetError, match="none of the package's fields: carrier, distance, wind"):
        score(path, tmp_path / "out", package)
    with pytest.raises(DatasetError, match="does not exist"):
        score(tmp_path / "nowhere", tmp_path / "out", package)
    with pytest.raises(DatasetError, match="holds no file"):
        score(package, tmp_path / "out", package)


def test_the_output_is_not_written_into_the_source(
    source: Path, tmp_path: Path, package: Path
) -> None:
    with pytest.raises(DatasetError, match="is in the source"):
        score(source, source / "out", package)


def test_a_file_that_changes_while_it_is_read_is_refused(
    source: Path, tmp_path: Path, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = scoring.BatchScorer.score

    def changing(self: scoring.BatchScorer, batch: pa.RecordBatch) -> scoring.ScoredBatch:
        os.utime(source / "b.parquet", (1, 1))
        return original(self, batch)

    monkeypatch.setattr(scoring.BatchScorer, "score", changing)
    with pytest.raises(DatasetError, match=r"b\.parquet changed while it was read"):
        score(source, tmp_path / "out", package)
    assert not list((tmp_path / "out").rglob("_manifest.json"))


def test_a_full_disk_is_the_nodes_fault(
    source: Path, tmp_path: Path, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space left"):
        score(source, tmp_path / "out", package)


@pytest.mark.slow
def test_processes_give_the_bytes_of_one_process(
    source: Path, tmp_path: Path, package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = ["batch", "score", str(source), str(tmp_path / "two"), "--package", str(package)]
    assert run([*call, "--workers", "2", "--json"]) == 1
    shown = json.loads(capsys.readouterr().out)
    assert (shown["answered"], shown["refused"], shown["is_quarantined"]) == (6, 4, True)
    assert run([*call, "--max-refused", "0.4"]) == 1  # the same work, judged before
    assert "nothing to do" in capsys.readouterr().out
    assert run([*call, "--max-refused", "0.4", "--force", "--workers", "2"]) == 0
    assert "distance: minimum: 2 rows" in capsys.readouterr().out
    forced, one = tmp_path / "two" / "current", score(source, tmp_path / "one", package)
    assert set(tree(forced)) == set(tree(one.folder))
    assert all(
        data == tree(forced)[name] for name, data in tree(one.folder).items() if "part" in name
    )
