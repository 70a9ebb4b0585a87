"""XGBoost's models, as JSON and UBJSON, give XGBoost's own bits."""

import json
from typing import Any

import numpy as np
import pytest

from gnomon.core.trees import TreeModel
from gnomon.runtime.raw_models.trees.reading import UnreadableTrees
from gnomon.runtime.raw_models.trees.ubjson import decode_ubjson
from gnomon.runtime.raw_models.trees.xgboost_model import read_xgboost
from tests.support.trees import (
    SPECIAL,
    Numbers,
    assert_same_bits,
    assert_within_one_ulp,
    hostile_rows,
)

xgboost = pytest.importorskip("xgboost")

random = np.random.default_rng(0)
ROWS = random.standard_normal((800, 6))
ROWS[:, 1] = np.round(ROWS[:, 1] * 2)
ROWS[random.random(ROWS.shape) < 0.05] = np.nan
ROWS[:, 5] = random.integers(0, 40, 800)
TARGET = np.nan_to_num(ROWS[:, 0] * ROWS[:, 2]) + np.sin(ROWS[:, 5]) + np.nan_to_num(ROWS[:, 1])
CLASSES = np.digitize(TARGET, [-1, 1])
#: XGBoost itself refuses what is infinite as float32.
FINITE = [one for one in SPECIAL if np.isnan(one) or abs(one) < 1e38]


def matrix(rows: Numbers, target: Any = None, categories: bool = False) -> Any:
    kinds = [*"qqqqq", "c"] if categories else None
    return xgboost.DMatrix(rows, target, feature_types=kinds, enable_categorical=categories)


def trained(target: Any, categories: bool = False, **parameters: Any) -> Any:
    data = matrix(ROWS, np.asarray(target, np.float64), categories)
    return xgboost.train({"nthread": 1, **parameters}, data, 12)


def thresholds(booster: Any) -> dict[int, list[float]]:
    found: dict[int, list[float]] = {}
    learned = json.loads(booster.save_raw("json"))["learner"]["gradient_booster"]
    for tree in learned.get("gbtree", learned)["model"]["trees"]:
        columns = (tree["split_indices"], tree["split_conditions"], tree["left_children"])
        for feature, value, left in zip(*columns, strict=True):
            if left >= 0 and feature != 5:
                found.setdefault(feature, []).append(value)
    return found


@pytest.mark.parametrize(
    ("target", "parameters"),
    [
        (TARGET, {}),
        (TARGET, {"categories": True, "max_cat_to_onehot": 1}),
        (TARGET, {"categories": True, "max_cat_to_onehot": 99}),
        (TARGET, {"tree_method": "exact"}),
        (TARGET, {"grow_policy": "lossguide", "max_leaves": 20, "max_depth": 0}),
        (TARGET, {"num_parallel_tree": 4, "subsample": 0.7}),
        (TARGET > 0, {"objective": "binary:logistic"}),
        (TARGET > 0, {"objective": "binary:logistic", "base_score": 0.3}),
        (TARGET > 0, {"objective": "binary:logitraw", "base_score": 0.7}),
        (TARGET > 0, {"objective": "binary:hinge"}),
        (CLASSES, {"objective": "multi:softprob", "num_class": 3}),
        (CLASSES, {"objective": "multi:softmax", "num_class": 3}),
        (np.abs(TARGET), {"objective": "count:poisson", "base_score": 0.7}),
        (np.abs(TARGET) + 0.1, {"objective": "reg:gamma"}),
        (np.abs(TARGET), {"objective": "reg:tweedie"}),
        (TARGET, {"objective": "reg:absoluteerror"}),
        (TARGET, {"objective": "reg:pseudohubererror"}),
    ],
)
@pytest.mark.parametrize("form", ["json", "ubj"])
def test_raw_scores_have_the_trainers_bits(
    target: Any, parameters: dict[str, Any], form: str
) -> None:
    booster = trained(target, **parameters)
    model = TreeModel(read_xgboost(bytes(booster.save_raw(form))))
    rows = hostile_rows(ROWS, thresholds(booster), FINITE)
    rows[:, 5] = np.random.default_rng(2).choice([*range(45), np.nan], len(rows))
    data = matrix(rows, None, "categories" in parameters)
    assert_same_bits(model.scores(rows), booster.predict(data, output_margin=True))
    assert_within_one_ulp(model.predict(rows), booster.predict(data))
    assert model.is_float32


def test_dropped_trees_have_their_weights() -> None:
    booster = trained(TARGET, booster="dart", rate_drop=0.5)
    rows = hostile_rows(ROWS, thresholds(booster), FINITE)
    model = TreeModel(read_xgboost(bytes(booster.save_raw("json"))))
    assert_same_bits(model.predict(rows), booster.predict(matrix(rows)))


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("gradient_booster/name", "gblinear", "gblinear"),
        ("objective/name", "reg:alchemy", "alchemy"),
        ("gradient_booster/model/trees/0/tree_param/size_leaf_vector", "3", "several values"),
        ("gradient_booster/model/trees/0/left_children/0", 5000, "child"),
        ("gradient_booster/model/trees/0/left_children/1", 0, "more than once"),
        ("gradient_booster/model/trees/0/split_indices/0", 99, "feature 99"),
        ("gradient_booster/model/tree_info", [], "cannot be read"),
        ("gradient_booster/model/trees/0/split_conditions/0", None, "threshold"),
        ("learner_model_param/num_feature", "many", "many"),
        ("learner_model_param/num_feature", str(10**15), "features"),
        ("learner_model_param/num_class", str(10**15), "outputs|base scores"),
    ],
)
def test_what_cannot_be_read_is_refused_by_what_is_wrong(path: str, value: Any, said: str) -> None:
    document = json.loads(trained(TARGET).save_raw("json"))
    *folders, last = path.split("/")
    part = document["learner"]
    for one in folders:
        part = part[int(one)] if isinstance(part, list) else part[one]
    part[int(last) if isinstance(part, list) else last] = value
    with pytest.raises(UnreadableTrees, match=said):
        read_xgboost(json.dumps(document).encode())


def test_a_document_that_ends_early_is_refused() -> None:
    content = bytes(trained(TARGET).save_raw("ubj"))
    for length in [*range(2, 200), *range(200, len(content), 997)]:
        with pytest.raises(UnreadableTrees):
            read_xgboost(content[:length])


@pytest.mark.parametrize(
    "content",
    [b"[" * 100, b"[$d#l\x7f\xff\xff\xff", b"[#l\x7f\xff\xff\xff", b"SL" + b"\x7f" * 8, b"{i\xff"],
)
def test_a_document_that_claims_too_much_is_refused_at_once(content: bytes) -> None:
    with pytest.raises(IndexError):
        decode_ubjson(content)
