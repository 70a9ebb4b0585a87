"""Estimators of all kinds: what the package gives is what the estimator's methods give."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.cluster import KMeans
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import (
    LinearRegression,
    LogisticRegression,
    Perceptron,
    RidgeClassifier,
    SGDClassifier,
)
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC, OneClassSVM

from gnomon.pipeline.formats import sklearn_outputs
from gnomon.pipeline.formats.sklearn_source import from_estimator
from gnomon.runtime.errors import PackageError
from gnomon.runtime.raw_models.probe import answer
from gnomon.runtime.raw_models.raw_model import derive_model

ROWS = np.random.default_rng(0).standard_normal((200, 3))
BINARY = (ROWS[:, 0] > 0).astype(int)
THREE = np.digitize(ROWS[:, 0], [-0.5, 0.5])
TEXTS = np.where(BINARY, "yes", "no")


@pytest.mark.parametrize(
    ("estimator", "target", "methods"),
    [
        (SVC(), BINARY, {"label": "predict", "decision_values": "decision_function"}),
        (SVC(), TEXTS, {"decision_values": "decision_function"}),
        (SVC(), THREE, {"label": "predict", "decision_values": "decision_function"}),
        (make_pipeline(StandardScaler(), SVC()), BINARY, {"label": "predict"}),
        (LinearSVC(), THREE, {"label": "predict", "decision_values": "decision_function"}),
        (RidgeClassifier(), BINARY, {"label": "predict", "decision_values": "decision_function"}),
        (Perceptron(), THREE, {"label": "predict"}),
        (SGDClassifier(), BINARY, {"label": "predict", "decision_values": "decision_function"}),
        (LogisticRegression(), BINARY, {"label": "predict", "probabilities": "predict_proba"}),
        (LinearRegression(), ROWS[:, :2], {"variable": "predict"}),
        (KMeans(3, n_init=1, random_state=0), None, {"label": "predict", "scores": "transform"}),
        (IsolationForest(n_estimators=5, random_state=0), None, {"label": "predict"}),
        (OneClassSVM(), None, {"label": "predict", "decision_values": "decision_function"}),
    ],
)
def test_outputs_are_those_of_methods(estimator, target, methods):
    fitted = estimator.fit(ROWS, target)
    found = derive_model("onnx", from_estimator(fitted).content, "m")
    assert set(methods) <= set(found.output_tensors)
    probe = np.random.default_rng(1).standard_normal((50, 3)).astype(np.float32)
    given = dict(
        zip(
            found.output_tensors,
            answer("onnx", found.content, {"input": probe}, found.output_tensors),
            strict=True,
        )
    )
    for name, method in methods.items():
        expected = getattr(fitted, method)(probe.astype(np.float64))
        np.testing.assert_allclose(given[name].reshape(expected.shape), expected, atol=1e-4)


class Halved(BaseEstimator):
    """Answers otherwise than its ONNX file."""

    n_features_in_ = 3

    def predict(self, rows):
        return rows[:, 0] / 2


def test_what_answers_differently_or_several_classes_is_refused_by_name(monkeypatch):
    several = MultiOutputClassifier(LogisticRegression()).fit(ROWS, np.c_[BINARY, THREE])
    with pytest.raises(PackageError, match="MultiOutputClassifier predicts several classes"):
        from_estimator(several)
    content = from_estimator(LinearRegression().fit(ROWS, ROWS[:, 0])).content
    with pytest.raises(PackageError, match=r"Halved: predict by .* of the value"):
        sklearn_outputs.matching_outputs(Halved(), content, ROWS.astype(np.float32))
