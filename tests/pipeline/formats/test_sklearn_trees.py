"""Trees of scikit-learn's estimators give their own bits, on missing values and ties too."""

from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.ensemble import (
    AdaBoostRegressor,
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from gnomon.command.root import run
from gnomon.core.trees import TreeModel
from gnomon.pipeline.formats.sklearn_trees import read_estimator
from gnomon.runtime.models.model import Model
from gnomon.runtime.packages.package import Package
from gnomon.runtime.raw_models.trees.reading import UnreadableTrees
from tests.support.trees import Numbers, assert_same_bits, hostile_rows

random = np.random.default_rng(0)
WHOLE = random.standard_normal((300, 5))
WHOLE[:, 1] = WHOLE[:, 1].round()
WHOLE[:, 4] = random.integers(0, 20, 300) * 3
TARGET = WHOLE[:, 0] * WHOLE[:, 2] + np.sin(WHOLE[:, 4]) + WHOLE[:, 1]
SIDES, CLASSES = (TARGET > 0).astype(int), np.digitize(TARGET, [-1, 1])
HOLES = np.where(random.random(WHOLE.shape) < 0.05, np.nan, WHOLE)
#: Softmax and powers of NumPy and of the C library differ by so many units in the last place.
ULPS = 4


def rows_for(estimator: Any) -> Numbers:
    """Return hostile rows that the estimator takes."""
    thresholds: dict[int, list[float]] = {}
    for place, member in enumerate(np.ravel(getattr(estimator, "estimators_", [estimator]))):
        columns = getattr(estimator, "estimators_features_", [range(5)] * (place + 1))[place]
        for feature, value in zip(member.tree_.feature, member.tree_.threshold, strict=True):
            if feature >= 0:
                thresholds.setdefault(int(columns[feature]), []).append(value)
    special = [0.0, -0.0, 1e-40, 1e30]
    if estimator.__sklearn_tags__().input_tags.allow_nan:
        special.append(np.nan)
    return hostile_rows(WHOLE, thresholds, special, 500)


@pytest.mark.parametrize(
    ("estimator", "rows", "target"),
    [
        (DecisionTreeRegressor(max_depth=6), HOLES, TARGET),
        (DecisionTreeClassifier(max_depth=5), WHOLE, CLASSES),
        (RandomForestRegressor(9), HOLES, TARGET),
        (RandomForestRegressor(5), WHOLE, np.stack([TARGET, SIDES], axis=1)),
        (RandomForestClassifier(9), HOLES, CLASSES),
        (ExtraTreesRegressor(9), WHOLE, TARGET),
        (ExtraTreesClassifier(9), WHOLE, SIDES),
        (GradientBoostingRegressor(n_estimators=9), WHOLE, TARGET),
        (GradientBoostingRegressor(n_estimators=9, loss="huber", init="zero"), WHOLE, TARGET),
    ],
    ids=lambda one: type(one).__name__,
)
def test_answers_have_the_estimators_bits(estimator: Any, rows: Numbers, target: Any) -> None:
    estimator.fit(rows, target)
    given = rows_for(estimator)
    answers = getattr(estimator, "predict_proba", estimator.predict)(given)
    assert_same_bits(TreeModel(read_estimator(estimator)).predict(given), answers)


@pytest.mark.parametrize(
    ("estimator", "target"),
    [
        (GradientBoostingClassifier(n_estimators=9), SIDES),
        (GradientBoostingClassifier(n_estimators=9, loss="exponential"), SIDES),
        (GradientBoostingClassifier(n_estimators=9), CLASSES),
    ],
)
def test_boosted_classifiers_have_the_estimators_scores(estimator: Any, target: Any) -> None:
    estimator.fit(WHOLE, target)
    given = rows_for(estimator)
    model = TreeModel(read_estimator(estimator))
    assert_same_bits(model.scores(given), estimator.decision_function(given))
    check_probabilities(model, estimator, given)


@pytest.mark.parametrize("categories", [None, [4]])
@pytest.mark.parametrize(
    ("estimator", "target"),
    [
        (HistGradientBoostingRegressor(max_iter=9), TARGET),
        (HistGradientBoostingRegressor(max_iter=9, loss="gamma"), np.abs(TARGET) + 0.1),
        (HistGradientBoostingClassifier(max_iter=9), SIDES),
        (HistGradientBoostingClassifier(max_iter=9), CLASSES),
    ],
)
def test_histogram_boosting_has_the_estimators_scores(
    estimator: Any, target: Any, categories: Any
) -> None:
    estimator.set_params(categorical_features=categories).fit(HOLES, target)
    thresholds: dict[int, list[float]] = {}
    for predictor in [one for stage in estimator._predictors for one in stage]:
        for node in predictor.nodes[predictor.nodes["is_leaf"] == 0]:
            column = node["feature_idx"] if categories is None else node["feature_idx"] - 1
            if not node["is_categorical"]:
                thresholds.setdefault(int(column), []).append(float(node["num_threshold"]))
    given = hostile_rows(WHOLE, thresholds, [0.0, -0.0, np.nan, np.inf, -np.inf], 500)
    codes = [*range(70), np.nan, -3.0, 2.5, 300.0]
    given[:, 4] = np.random.default_rng(3).choice(codes, 500)
    model = TreeModel(read_estimator(estimator))
    assert_same_bits(model.scores(given), estimator._raw_predict(given))
    if hasattr(estimator, "classes_"):
        check_probabilities(model, estimator, given)
    else:
        check_close(model.predict(given)[:, 0], estimator.predict(given))


@pytest.mark.parametrize("settings", [{}, {"max_features": 0.5, "contamination": 0.1}])
def test_an_isolation_forest_decides_alike(settings: Any) -> None:
    estimator = IsolationForest(n_estimators=9, **settings).fit(WHOLE)
    given = rows_for(estimator)
    model = TreeModel(read_estimator(estimator))
    ours = model.predict(given)[:, 0] + estimator.offset_
    check_close(ours, estimator.decision_function(given) + estimator.offset_)


def test_what_has_no_trees_is_refused_by_name() -> None:
    with pytest.raises(UnreadableTrees, match="AdaBoostRegressor has no trees"):
        read_estimator(AdaBoostRegressor())
    with pytest.raises(UnreadableTrees, match="not fitted"):
        read_estimator(DecisionTreeRegressor())
    started = GradientBoostingRegressor(n_estimators=2, init=DecisionTreeRegressor(max_depth=1))
    with pytest.raises(UnreadableTrees, match="no constant"):
        read_estimator(started.fit(WHOLE, TARGET))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["pickle", "skops"])
def test_an_estimator_is_imported_as_trees(tmp_path: Any, kind: str) -> None:
    estimator = GradientBoostingRegressor(n_estimators=5).fit(WHOLE, TARGET)
    options = []
    if kind == "skops":
        io = pytest.importorskip("skops.io")
        path = tmp_path / "model.skops"
        io.dump(estimator, path)
    else:
        path = tmp_path / "model.pkl"
        joblib.dump(estimator, path)
        options = ["--unpickle", "--format", "trees"]
    command = ["package", "import", str(path), str(tmp_path / "out"), "--name", "a"]
    assert run([*command, "--version", "1", *options]) == 0
    package = Package.open(tmp_path / "out", None)
    assert package.manifest.format == "trees"
    model = Model(package)
    row = {f"input_{place}": float(one) for place, one in enumerate(WHOLE[0])}
    assert model.predict_row(row)["prediction"] == estimator.predict(WHOLE[:1])[0]
    model.close()


def check_probabilities(model: TreeModel, estimator: Any, rows: Numbers) -> None:
    theirs = estimator.predict_proba(rows)
    check_close(model.predict(rows), theirs[:, 1:] if theirs.shape[1] == 2 else theirs)


def check_close(ours: Numbers, theirs: Numbers) -> None:
    far = np.abs(ours - theirs) > ULPS * np.spacing(np.abs(theirs))
    assert not far.any(), (ours[far][:3], theirs[far][:3])
