"""ONNX files against the scikit-learn estimators they came from."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_diabetes
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression

from gnomon.pipeline.formats.onnx_export import _round_down, check_parity, export_onnx, run_onnx
from gnomon.runtime.errors import PackageError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def rounded_data():
    """Decimals that float32 does not hold exactly: thresholds then fall between the two."""
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 40, size=(4000, 5)).astype(np.float64) / 100
    rows[rng.random(rows.shape) < 0.1] = np.nan
    labels = np.nansum(rows * [1, 20, 3, -4, 5], axis=1) + rng.normal(size=4000)
    return rows.astype(np.float32), labels


def test_trees_agree_on_every_row_missing_values_included(rounded_data):
    rows, labels = rounded_data
    trees = HistGradientBoostingRegressor(max_iter=60, random_state=0).fit(rows, labels)
    assert check_parity(trees, export_onnx(trees, 5), rows) <= 1e-5


def test_values_on_the_thresholds_take_the_same_branch(rounded_data):
    rows, labels = rounded_data
    trees = HistGradientBoostingRegressor(max_iter=20, random_state=0).fit(rows, labels)
    thresholds = np.concatenate([stage[0].nodes["num_threshold"] for stage in trees._predictors])
    near = np.concatenate(
        [np.nextafter(thresholds.astype(np.float32), np.float32(limit)) for limit in (-9, 0, 9)]
        + [thresholds.astype(np.float32)]
    )
    probe = np.repeat(near[:, None], 5, axis=1)
    assert check_parity(trees, export_onnx(trees, 5), probe) <= 1e-5


@given(st.lists(st.floats(-1e30, 1e30), min_size=1, max_size=50))
def test_rounding_down_keeps_every_comparison(values):
    thresholds = np.array(values)
    rounded = _round_down(thresholds)
    assert (rounded.astype(np.float32) == rounded).all()
    for probe in (rounded, np.nextafter(rounded.astype(np.float32), np.float32(np.inf))):
        probe = probe.astype(np.float64)
        np.testing.assert_array_equal(probe <= thresholds, probe <= rounded)


def test_real_data_and_another_estimator():
    rows, labels = load_diabetes(return_X_y=True)
    rows = rows.astype(np.float32)
    for estimator in (LinearRegression(), HistGradientBoostingRegressor(max_iter=20)):
        estimator.fit(rows, labels)
        model = export_onnx(estimator, rows.shape[1])
        np.testing.assert_allclose(run_onnx(model, rows), estimator.predict(rows), rtol=1e-4)


def test_same_estimator_gives_the_same_bytes(rounded_data):
    trees = HistGradientBoostingRegressor(max_iter=5, random_state=0).fit(*rounded_data)
    assert export_onnx(trees, 5) == export_onnx(trees, 5)


def test_export_leaves_the_estimator_alone(rounded_data):
    rows, labels = rounded_data
    trees = HistGradientBoostingRegressor(max_iter=5, random_state=0).fit(rows, labels)
    before = [stage[0].nodes["num_threshold"].copy() for stage in trees._predictors]
    export_onnx(trees, 5)
    for stage, thresholds in zip(trees._predictors, before, strict=True):
        np.testing.assert_array_equal(stage[0].nodes["num_threshold"], thresholds)


def test_a_file_that_differs_is_refused(rounded_data):
    rows, labels = rounded_data
    good = HistGradientBoostingRegressor(max_iter=5, random_state=0).fit(rows, labels)
    other = HistGradientBoostingRegressor(max_iter=6, random_state=0).fit(rows, labels)
    with pytest.raises(PackageError, match="row"):
        check_parity(good, export_onnx(other, 5), rows)


def test_what_cannot_be_converted_is_refused_by_name():
    class Odd:
        """No estimator that skl2onnx knows."""

    with pytest.raises(PackageError, match="Odd"):
        export_onnx(Odd(), 3)
