"""LightGBM's text models give LightGBM's own bits, on hostile rows too."""

from typing import Any

import numpy as np
import pytest

from gnomon.core.trees import TreeModel
from gnomon.runtime.raw_models.trees.lightgbm_text import read_lightgbm
from gnomon.runtime.raw_models.trees.reading import UnreadableTrees
from tests.support.trees import Numbers, assert_same_bits, assert_within_one_ulp, hostile_rows

lightgbm = pytest.importorskip("lightgbm")


def data() -> tuple[Numbers, Numbers]:
    """Return rows with missing values, ties and two columns of codes, and what to predict."""
    random = np.random.default_rng(0)
    rows = random.standard_normal((800, 6))
    rows[:, 1] = np.round(rows[:, 1] * 2)
    rows[random.random(rows.shape) < 0.05] = np.nan
    rows[:, 4] = random.integers(0, 40, 800)
    rows[:, 5] = random.integers(0, 100, 800)
    filled = np.nan_to_num(rows)
    return rows, filled[:, 0] * filled[:, 2] + np.sin(rows[:, 4]) + filled[:, 1] + rows[:, 5] % 7


ROWS, TARGET = data()
CLASSES = np.digitize(TARGET, [2, 4]).astype(float)


def thresholds(booster: Any) -> dict[int, list[float]]:
    """Return by feature where a model splits it."""
    found: dict[int, list[float]] = {}

    def walk(node: dict[str, Any]) -> None:
        if "split_feature" in node:
            if node["decision_type"] == "<=":
                found.setdefault(node["split_feature"], []).append(node["threshold"])
            walk(node["left_child"])
            walk(node["right_child"])

    for tree in booster.dump_model()["tree_info"]:
        walk(tree["tree_structure"])
    return found


def trained(target: Numbers, categories: Any = (), **parameters: Any) -> Any:
    settings = {"verbose": -1, "num_threads": 1, "min_data_in_leaf": 5, **parameters}
    dataset = lightgbm.Dataset(ROWS, target, categorical_feature=list(categories))
    return lightgbm.train(settings, dataset, 12)


@pytest.mark.parametrize(
    ("target", "parameters"),
    [
        (TARGET, {}),
        (TARGET, {"categories": (4, 5), "max_cat_to_onehot": 1}),
        (TARGET, {"categories": (4,), "zero_as_missing": True}),
        (TARGET, {"use_missing": False}),
        (TARGET, {"boosting": "dart", "drop_rate": 0.5}),
        (TARGET, {"objective": "quantile", "alpha": 0.9}),
        (TARGET, {"reg_sqrt": True}),
        (TARGET > 3, {"objective": "binary", "sigmoid": 1.5, "categories": (4,)}),
        (CLASSES, {"objective": "multiclass", "num_class": 3, "categories": (4,)}),
        (CLASSES, {"objective": "multiclassova", "num_class": 3}),
        (np.abs(TARGET), {"objective": "poisson"}),
        (np.abs(TARGET) + 0.1, {"objective": "gamma"}),
        ((TARGET > 3) * 0.5, {"objective": "cross_entropy"}),
        ((TARGET > 3) * 0.5, {"objective": "cross_entropy_lambda"}),
        (np.zeros(800), {}),
    ],
)
def test_raw_scores_have_the_trainers_bits(target: Numbers, parameters: dict[str, Any]) -> None:
    booster = trained(np.asarray(target, np.float64), **parameters)
    model = TreeModel(read_lightgbm(booster.model_to_string().encode()))
    rows = hostile_rows(ROWS, thresholds(booster))
    assert_same_bits(model.scores(rows), booster.predict(rows, raw_score=True))
    assert_within_one_ulp(model.predict(rows), booster.predict(rows))
    assert model.takes_missing


def test_a_random_forest_answers_the_mean_of_its_trees() -> None:
    booster = trained(TARGET, boosting="rf", bagging_fraction=0.7, bagging_freq=1)
    model = TreeModel(read_lightgbm(booster.model_to_string().encode()))
    rows = hostile_rows(ROWS, thresholds(booster))
    assert_same_bits(model.predict(rows), booster.predict(rows))


def test_a_ranker_answers_its_raw_scores() -> None:
    dataset = lightgbm.Dataset(ROWS, CLASSES, group=[100] * 8)
    settings = {"objective": "lambdarank", "verbose": -1, "num_threads": 1}
    booster = lightgbm.train(settings, dataset, 8)
    model = TreeModel(read_lightgbm(booster.model_to_string().encode()))
    rows = hostile_rows(ROWS, thresholds(booster))
    assert_same_bits(model.predict(rows), booster.predict(rows))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("objective=regression", "objective=alchemy", "alchemy"),
        ("is_linear=0", "is_linear=1", "linear"),
        ("num_leaves=", "num_leaves=9", "leaf values"),
        ("left_child=", "left_child=5000 ", "left_child|of each inner"),
        ("num_tree_per_iteration=1", "num_tree_per_iteration=0", "rounds|each round"),
        ("split_feature=", "split_feature=77777 ", "of each inner|feature"),
        ("max_feature_idx=", "maximum=", "max_feature_idx"),
        ("leaf_value=", "leaf_value=x ", "x"),
        ("threshold=", "threshold=nan ", "threshold|of each inner"),
        ("decision_type=", "decision_type=14 ", "of each inner|decision"),
    ],
)
def test_what_cannot_be_read_is_refused_by_what_is_wrong(old: str, new: str, said: str) -> None:
    text = trained(TARGET).model_to_string()
    assert old in text
    with pytest.raises(UnreadableTrees, match=said):
        read_lightgbm(text.replace(old, new).encode())
