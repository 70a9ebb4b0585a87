"""The built-in steps read tables of all kinds, and take data from steps whatever a recipe says."""

from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet
import pytest

from gnomon.pipeline.datasets.dataset import DatasetError
from gnomon.pipeline.steps.builtin import dataset, package
from gnomon.runtime.errors import ConfigurationError
from tests.support.recipes import write_project

TABLE = pa.table({"x": [1.0, 2.0], "name": ["a", "b"]})
WRITERS = {
    ".csv": pyarrow.csv.write_csv,
    ".parquet": pyarrow.parquet.write_table,
    ".arrow": pyarrow.feather.write_feather,
}


@pytest.mark.parametrize("ending", WRITERS)
def test_a_table_is_the_same_in_every_format(tmp_path: Path, ending: str) -> None:
    files = [tmp_path / f"{part}{ending}" for part in ("one", "two")]
    for file in files:
        WRITERS[ending](TABLE, str(file))
    found = dataset(files)
    assert (len(found), found.uri) == (4, f"one{ending} two{ending}")
    assert found.table.to_pylist() == TABLE.to_pylist() * 2
    assert dataset(files, uri="s3://lake/rows").uri == "s3://lake/rows"


@pytest.mark.parametrize("names", [["a.csv", "b.parquet"], ["a.txt"], []])
def test_other_files_are_refused(names: list[str]) -> None:
    with pytest.raises(DatasetError, match=r"files should all end in \.csv"):
        dataset([Path(name) for name in names])


def test_a_recipe_s_own_data_are_not_read(tmp_path: Path) -> None:
    recipe = write_project(tmp_path)
    text = recipe.read_text().replace(
        'files = ["train.csv"]', 'sql = "SELECT 1"\nconnection = "NO_SUCH_VARIABLE"'
    )
    recipe.write_text(text)
    given = dataset([tmp_path / "train.csv"])
    made = package(
        recipe,
        tmp_path / "model.onnx",
        given,
        test=dataset([tmp_path / "test.csv"]),
        version="7",
        parameters={"trees": 5},
        signer=None,
        scratch=tmp_path,
    )
    made_from = made.manifest.reproducibility
    assert made.reference == "duration@7"
    assert made_from.dataset_fingerprint == given.fingerprint
    assert made_from.parameters["trees"] == 5


def test_test_files_that_no_step_reads_are_refused(tmp_path: Path) -> None:
    recipe = write_project(tmp_path)
    given = dataset([tmp_path / "train.csv"])
    with pytest.raises(ConfigurationError, match="pass them as `test`"):
        package(recipe, tmp_path / "model.onnx", given, signer=None, scratch=tmp_path)
