"""One call makes a package of an estimator that answers as the estimator does."""

from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import xgboost
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression

import gnomon
from gnomon.pipeline.recipes.build import build_recipe
from gnomon.pipeline.recipes.file import read_recipe
from gnomon.runtime.errors import Conflict, GnomonError, InvalidInput
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.signing import Signer

COLUMNS = ["mean radius", "texture", "day"]


@pytest.fixture
def rows() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(rng.normal(size=(120, 3)), columns=COLUMNS)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def labels(rows: pd.DataFrame) -> Any:
    return (rows["mean radius"] * 3 + rows["texture"]).to_numpy()


def answers(package: Package, rows: pd.DataFrame) -> list[float]:
    with gnomon.Agent(package=package.path) as agent:
        fields = [field.name for field in package.profile.inputs]
        answered = agent.predict(rows.set_axis(fields, axis=1))
    assert answered["gnomon_refused"].isna().all()
    return answered.iloc[:, 0].tolist()


ESTIMATORS = [
    LinearRegression(),
    RandomForestRegressor(5, random_state=0),
    lightgbm.LGBMRegressor(n_estimators=5, verbose=-1),
    xgboost.XGBRegressor(n_estimators=5),
]


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda one: type(one).__name__)
def test_the_package_answers_as_the_estimator(estimator: Any, rows: pd.DataFrame) -> None:
    fitted = rows.rename(columns={"mean radius": "mean_radius"})
    estimator.fit(fitted, labels(rows))
    truth = labels(rows.tail(20))
    package = gnomon.build_package(
        estimator, fitted.head(100), labels(rows.head(100)), fitted.tail(20), truth, name="price"
    )
    assert package.path == Path("packages/price-1")
    expected = estimator.predict(fitted.tail(20))
    assert answers(package, fitted.tail(20)) == pytest.approx(expected.tolist(), rel=1e-5)
    mae = package.manifest.reproducibility.test_metrics["mae"]
    assert mae == pytest.approx(np.abs(expected - truth).mean(), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize(
    "table",
    [
        lambda rows: rows,
        lambda rows: rows[["day", "texture", "mean radius"]],
        pl.from_pandas,
        lambda rows: pa.Table.from_pandas(rows, preserve_index=False),
        lambda rows: rows.to_numpy(),
    ],
    ids=["pandas", "other order", "polars", "pyarrow", "numpy"],
)
def test_tables_of_every_library_give_the_same_profile(table: Any, rows: pd.DataFrame) -> None:
    estimator = LinearRegression().fit(rows, labels(rows))
    package = gnomon.build_package(estimator, table(rows), labels(rows), name="price")
    assert [field.name for field in package.profile.inputs] == ["mean_radius", "texture", "day"]
    assert answers(package, rows) == pytest.approx(estimator.predict(rows).tolist(), rel=1e-4)


def test_the_source_builds_the_same_package(rows: pd.DataFrame) -> None:
    estimator = LinearRegression().fit(rows[COLUMNS[:2]], labels(rows))
    signer = Signer.generate()
    rows["day"] = np.arange(len(rows)) // 10
    options: dict[str, Any] = {"name": "price", "block": "day", "signer": signer}
    package = gnomon.build_package(estimator, rows, labels(rows), folder="here", **options)
    again = build_recipe(read_recipe(Path("here.source/recipe.toml")), Path("again"), signer)
    assert again.digest == package.digest
    assert {path.name for path in Path().iterdir()} == {"here", "here.source", "again"}
    with pytest.raises(Conflict, match="here exists"):
        gnomon.build_package(estimator, rows, labels(rows), folder="here", **options)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"train_labels": [1.0]}, "there are 120 rows, and labels of shape"),
        ({"test_labels": [1.0]}, "test rows and test labels go together"),
        ({"train": np.ones(3)}, "rows have the shape"),
        ({"train": np.ones((3, 2)), "train_labels": None}, "takes mean radius, texture, day"),
        ({"estimator": LinearRegression()}, "is not fitted"),
        ({"name": "Price"}, "lower case letters"),
    ],
)
def test_what_does_not_fit_is_named_and_leaves_nothing(
    given: dict[str, Any], said: str, rows: pd.DataFrame
) -> None:
    estimator = LinearRegression().fit(rows, labels(rows))
    usual = {"estimator": estimator, "train": rows, "train_labels": labels(rows), "name": "price"}
    with pytest.raises(GnomonError, match=said):
        gnomon.build_package(**usual | given)
    assert not list(Path().glob("packages/*"))
    assert not list(Path().glob("packages/.*"))


def test_a_column_named_as_the_labels_is_refused(rows: pd.DataFrame) -> None:
    rows = rows.rename(columns={"day": "label"})
    estimator = LinearRegression().fit(rows, labels(rows))
    with pytest.raises(InvalidInput, match="a column of the rows is named 'label'"):
        gnomon.build_package(estimator, rows, labels(rows), name="price")
