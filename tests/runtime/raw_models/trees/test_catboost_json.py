"""CatBoost's JSON gives CatBoost's own bits, also those that it once gave."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gnomon.core.trees import TreeModel
from gnomon.runtime.raw_models.trees.catboost_json import read_catboost
from gnomon.runtime.raw_models.trees.reading import UnreadableTrees
from gnomon.runtime.raw_models.trees.recognise import find_trainer
from tests.support.trees import Numbers, assert_same_bits, hostile_rows

#: A model of three classes, rows, and CatBoost's raw scores of them.
KEPT = json.loads((Path(__file__).parent / "catboost.json").read_text(encoding="utf-8"))


def kept_model() -> bytes:
    return json.dumps(KEPT["model"]).encode()


def test_a_kept_model_has_the_scores_that_catboost_gave() -> None:
    rows = np.array([[float(one) for one in row] for row in KEPT["rows"]])
    scores = np.array([[float.fromhex(one) for one in row] for row in KEPT["scores"]])
    assert find_trainer(kept_model()) == "CatBoost"
    assert_same_bits(TreeModel(read_catboost(kept_model())).scores(rows), scores)


random = np.random.default_rng(0)
ROWS = random.standard_normal((400, 4))
ROWS[:, 1] = ROWS[:, 1].round()
ROWS[random.random(ROWS.shape) < 0.05] = np.nan
TARGET = np.nan_to_num(ROWS[:, 0] * ROWS[:, 2]) + np.nan_to_num(ROWS[:, 1])


def train(kind: str, target: Any, path: Path, **settings: Any) -> tuple[Any, bytes]:
    catboost = pytest.importorskip("catboost")
    given = {"iterations": 9, "depth": 4, "verbose": 0, "thread_count": 1, **settings}
    model = getattr(catboost, kind)(allow_writing_files=False, **given).fit(ROWS, target)
    model.save_model(str(path), format="json")
    return model, path.read_bytes()


def rows_for(content: bytes) -> Numbers:
    features = json.loads(content)["features_info"]["float_features"]
    borders = {one["flat_feature_index"]: one["borders"] for one in features if one["borders"]}
    special = [0.0, -0.0, 1e-40, np.nan, np.inf, -np.inf, 1e300]
    with np.errstate(over="ignore"):
        return hostile_rows(ROWS, borders, special, 500)


@pytest.mark.parametrize(
    ("kind", "target", "settings"),
    [
        ("CatBoostRegressor", TARGET, {}),
        ("CatBoostRegressor", TARGET, {"nan_mode": "Max", "depth": 7}),
        ("CatBoostRegressor", TARGET, {"grow_policy": "Lossguide"}),
        ("CatBoostRegressor", np.abs(TARGET), {"loss_function": "Poisson"}),
        ("CatBoostClassifier", TARGET > 0, {}),
        ("CatBoostClassifier", np.digitize(TARGET, [-1, 1]), {"grow_policy": "Depthwise"}),
    ],
)
def test_raw_scores_have_the_trainers_bits(
    tmp_path: Path, kind: str, target: Any, settings: dict[str, Any]
) -> None:
    trained, content = train(kind, np.asarray(target, np.float64), tmp_path / "m.json", **settings)
    model, rows = TreeModel(read_catboost(content)), rows_for(content)
    assert_same_bits(model.scores(rows), trained.predict(rows, prediction_type="RawFormulaVal"))
    if kind == "CatBoostClassifier":
        theirs = trained.predict_proba(rows)
        theirs = theirs[:, 1:] if model.answers == 1 else theirs
        # Its exponential is an approximation of its own.
        assert np.abs(model.predict(rows) - theirs).max() < 1e-14


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("features_info/ctrs", [1], "ctrs"),
        ("features_info/categorical_features", [1], "categorical features"),
        ("oblivious_trees/0/leaf_values", [1.0], "leaf values"),
        ("oblivious_trees/0/splits/0/split_type", "OneHotFeature", "OneHotFeature"),
        ("oblivious_trees/0/splits/0/float_feature_index", 99, "cannot be read"),
        ("oblivious_trees/0/splits/0/float_feature_index", -1, "cannot be read"),
        ("oblivious_trees/0/splits/0/border", None, "cannot be read"),
        ("scale_and_bias", [1], "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_refused_by_what_is_wrong(path: str, value: Any, said: str) -> None:
    document = json.loads(kept_model())
    *folders, last = path.split("/")
    part: Any = document
    for one in folders:
        part = part[int(one)] if isinstance(part, list) else part[one]
    part[last] = value
    with pytest.raises(UnreadableTrees, match=said):
        read_catboost(json.dumps(document).encode())
