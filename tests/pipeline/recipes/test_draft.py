"""A drafted recipe builds as it is, and answers as the model's own library."""

import tomllib
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest
import skl2onnx
from click.testing import CliRunner
from skl2onnx.common.data_types import FloatTensorType
from sklearn.linear_model import LinearRegression

from gnomon.command.root import root
from gnomon.pipeline.recipes.build import build_recipe
from gnomon.pipeline.recipes.draft import DraftOptions, draft_recipe
from gnomon.pipeline.recipes.file import read_recipe
from gnomon.runtime.errors import ConfigurationError, GnomonError
from gnomon.runtime.models.model import Model

COLUMNS = ["mean radius", "od280/od315", "größe"]


@pytest.fixture
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(200, 3)).astype(np.float32), columns=COLUMNS)
    frame["price"] = frame["mean radius"] * 3 + frame["größe"]
    return frame


@pytest.fixture
def train(frame: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    frame.iloc[:150].to_csv("train.csv", index=False)
    frame.iloc[150:].to_csv("test.csv", index=False)
    return Path("train.csv")


def linear(frame: pd.DataFrame) -> LinearRegression:
    fitted = LinearRegression().fit(frame[COLUMNS].to_numpy(), frame["price"])
    onnx = skl2onnx.to_onnx(fitted, initial_types=[("x", FloatTensorType([None, 3]))])
    Path("model.onnx").write_bytes(onnx.SerializeToString())
    return fitted


def booster(frame: pd.DataFrame) -> lightgbm.Booster:
    data = frame[COLUMNS].set_axis(["mean_radius", "od280_od315", "größe"], axis=1)
    fitted = lightgbm.LGBMRegressor(n_estimators=5, verbose=-1).fit(data, frame["price"])
    fitted.booster_.save_model("model.txt")
    return fitted.booster_


def built(path: Path, version: str = "1") -> Model:
    return Model(build_recipe(read_recipe(path), Path(f"package-{version}"), None))


def test_columns_without_names_are_taken_in_order_and_said_to_be(
    train: Path, frame: pd.DataFrame
) -> None:
    fitted = linear(frame)
    command = ["package", "init", "model.onnx", "train.csv", "--label", "price"]
    done = CliRunner().invoke(root, [*command, "--test", "test.csv"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "# CHECK: the model does not name its columns" in done.stdout
    Path("recipe.toml").write_text(done.stdout, encoding="utf-8")
    model = built(Path("recipe.toml"))
    row = frame[COLUMNS].iloc[0].tolist()
    answer = model.predict_row(dict(zip(model.inputs.names, map(float, row), strict=True)))
    assert answer["variable"] == pytest.approx(fitted.predict([row])[0], rel=1e-5)
    assert model.package.manifest.reproducibility.test_metrics["mae"] < 1e-5
    model.close()


def test_named_columns_are_taken_by_name(train: Path, frame: pd.DataFrame) -> None:
    fitted = booster(frame)
    reordered = pd.read_csv(train)[["price", "größe", "mean radius", "od280/od315"]]
    reordered.to_csv(train, index=False)
    text = draft_recipe(Path("model.txt"), [train], DraftOptions(name="price", label="price"))
    assert "CHECK" not in text
    Path("recipe.toml").write_text(text, encoding="utf-8")
    model = built(Path("recipe.toml"))
    row = frame[COLUMNS].iloc[3].to_numpy(np.float64)
    (value,) = model.predict_row(dict(zip(model.inputs.names, row.tolist(), strict=True))).values()
    assert value == fitted.predict(row[None])[0]
    model.close()


def test_values_that_are_missing_in_the_data_may_be_missing(
    train: Path, frame: pd.DataFrame
) -> None:
    booster(frame)
    data = pd.read_csv(train)
    data.loc[3, "größe"] = None
    data.to_csv(train, index=False)
    text = draft_recipe(Path("model.txt"), [train], DraftOptions(name="price", label="price"))
    assert text.count("nullable = true") == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "takes 3 columns and does not name them; the data have 4: mean radius"),
        ({"label": "cost"}, "'cost' is no column of train.csv; there are mean radius"),
        ({"label": "price", "leave_out": ("größe",)}, "the data have 2: "),
        ({"test": (Path("test.csv"),)}, "test data need a label"),
        ({"label": "price", "name": "Price"}, "lower case letters"),
    ],
)
def test_what_does_not_fit_is_named(
    train: Path, frame: pd.DataFrame, options: dict[str, Any], said: str
) -> None:
    linear(frame)
    with pytest.raises(GnomonError, match=said):
        draft_recipe(Path("model.onnx"), [train], DraftOptions(**{"name": "price", **options}))


def test_texts_are_not_guessed_to_be_codes(train: Path, frame: pd.DataFrame) -> None:
    linear(frame)
    data = pd.read_csv(train)
    data["größe"] = "UA"
    data.to_csv(train, index=False)
    with pytest.raises(ConfigurationError, match=r"column 'größe' of train\.csv holds string"):
        draft_recipe(Path("model.onnx"), [train], DraftOptions(name="price", label="price"))


def test_any_name_of_a_column_is_written_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = ['a"b', "a\\b", "ü\x7f", "line\nbreak", "\U0001f600"]
    frame = pd.DataFrame(np.eye(5, dtype=np.float32), columns=names)
    frame.to_parquet("train.parquet")
    fitted = LinearRegression().fit(frame.to_numpy(), [1, 2, 3, 4, 5])
    onnx = skl2onnx.to_onnx(fitted, initial_types=[("x", FloatTensorType([None, 5]))])
    Path("model.onnx").write_bytes(onnx.SerializeToString())
    text = draft_recipe(Path("model.onnx"), [Path("train.parquet")], DraftOptions(name="any"))
    columns = [one.get("from", name) for name, one in tomllib.loads(text)["inputs"].items()]
    assert columns == names
