"""A recipe of a trainer's own file, and an import of one: packages of trees."""

import numpy as np
import pyarrow.csv
import pytest

from gnomon.pipeline.formats.importing import import_model, read_source
from gnomon.pipeline.recipes.build import build_recipe
from gnomon.pipeline.recipes.example import EXAMPLE
from gnomon.pipeline.recipes.file import read_recipe
from gnomon.runtime.models.model import Model
from tests.support.recipes import VEHICLES, write_project

lightgbm = pytest.importorskip("lightgbm")


@pytest.fixture
def booster():
    rows = np.random.default_rng(0).random((500, 4))
    rows[:, 1][rows[:, 1] < 0.1] = np.nan
    data = lightgbm.Dataset(rows * [60, 9, 3, 20], rows[:, 0] * 50, feature_name=[*"abcd"])
    return lightgbm.train({"verbose": -1, "num_threads": 1}, data, 9)


@pytest.mark.slow
def test_a_recipe_names_the_trainers_file(tmp_path, booster):
    recipe = EXAMPLE.replace('"model.onnx"', '"model.txt"').replace('"minutes",', '"prediction",')
    path = write_project(tmp_path, recipe)
    booster.save_model(tmp_path / "model.txt")
    package = build_recipe(read_recipe(path), tmp_path / "package", signer=None)
    assert package.manifest.format == "trees"
    table = pyarrow.csv.read_csv(tmp_path / "test.csv").slice(0, 20)
    model = Model(package)
    for row in table.to_pylist():
        sent = {name: row[name] for name in ("distance", "weight", "vehicle", "hour")}
        weight = np.nan if row["weight"] is None else row["weight"]
        code = VEHICLES.index(row["vehicle"])
        expected = booster.predict([[row["distance"], weight, code, row["hour"]]])[0]
        assert model.predict_row(sent)["minutes"] == expected
    model.close()


def test_an_imported_model_has_its_own_columns_and_takes_missing_values(tmp_path, booster):
    booster.save_model(tmp_path / "price.txt")
    source = read_source(tmp_path / "price.txt", proof=False)
    package = import_model(source, tmp_path / "package", "price", "1", signer=None)
    assert [field.name for field in package.profile.inputs] == [*"abcd"]
    model = Model(package)
    row = {"a": 7.0, "b": None, "c": 1.0, "d": 2.0}
    expected = booster.predict([[7.0, np.nan, 1.0, 2.0]])[0]
    assert model.predict_row(row) == {"prediction": expected}
    package.golden.check(model)
    model.close()
