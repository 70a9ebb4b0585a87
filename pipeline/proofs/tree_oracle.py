"""Runs a trainer's own library over rows, in a process of its own: one JSON message in, one out.

It is started by its path and imports nothing of Gnomon, so that the two share no code. Models come
as files: of the trainer, or of joblib for an estimator. Answers go to files of NumPy.
"""

import importlib
import json
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Answers = tuple[NDArray[Any] | None, NDArray[Any]]


def ask_lightgbm(path: str, rows: NDArray[np.float64]) -> Answers:
    """Return raw scores and predictions, each of shape (rows, …)."""
    import lightgbm

    booster = lightgbm.Booster(model_file=path)
    answers = np.asarray(booster.predict(rows, num_threads=1))
    # The raw scores of a random forest are sums of what it takes the mean of.
    is_mean = "\naverage_output\n" in booster.model_to_string()
    return None if is_mean else np.asarray(booster.predict(rows, raw_score=True)), answers


def ask_xgboost(path: str, rows: NDArray[np.float64]) -> Answers:
    """Return raw scores and predictions, each of shape (rows, …)."""
    import xgboost

    booster = xgboost.Booster(model_file=path)
    booster.set_param({"nthread": 1})
    kinds = booster.feature_types
    data = xgboost.DMatrix(
        rows,
        feature_names=booster.feature_names,
        feature_types=kinds,
        enable_categorical="c" in (kinds or ()),
    )
    return booster.predict(data, output_margin=True), booster.predict(data)


def ask_catboost(path: str, rows: NDArray[np.float64]) -> Answers:
    """Return raw scores, which stand for the predictions too, of shape (rows, …)."""
    import catboost

    model = catboost.CatBoost()
    model.load_model(path, format="json" if path.endswith(".json") else "cbm")
    scores = np.asarray(model.predict(rows, prediction_type="RawFormulaVal", thread_count=1))
    return scores, scores


def ask_estimator(path: str, rows: NDArray[np.float64]) -> Answers:
    """Return the raw scores, if it has any, and what it answers, each of shape (rows, …)."""
    import joblib  # type: ignore[import-untyped]

    estimator = joblib.load(path)
    if hasattr(estimator, "n_jobs"):
        estimator.set_params(n_jobs=1)
    if type(estimator).__name__ == "IsolationForest":
        return None, estimator.decision_function(rows)
    answers = getattr(estimator, "predict_proba", estimator.predict)(rows)
    if not hasattr(estimator, "decision_function"):
        return None, answers
    answers = answers[:, 1] if answers.shape[1] == 2 else answers
    return estimator.decision_function(rows), answers


def ask_onnx_runtime(path: str, rows: NDArray[np.float64]) -> Answers:
    """Return what it answers with one thread, of shape (rows, …)."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    with np.errstate(over="ignore"):
        (answers,) = session.run(None, {session.get_inputs()[0].name: rows.astype(np.float32)})
    return answers, answers


ORACLES: dict[str, tuple[str, Callable[[str, NDArray[np.float64]], Answers]]] = {
    "LightGBM": ("lightgbm", ask_lightgbm),
    "XGBoost": ("xgboost", ask_xgboost),
    "CatBoost": ("catboost", ask_catboost),
    "ONNX Runtime": ("onnxruntime", ask_onnx_runtime),
    "scikit-learn": ("sklearn", ask_estimator),
}


def main() -> None:
    """Answer the request on standard input."""
    request = json.load(sys.stdin)
    module, ask = ORACLES[request["trainer"]]
    scores, answers = ask(request["model"], np.load(request["rows"]))
    if scores is not None:
        np.save(request["scores"], scores)
    np.save(request["answers"], answers)
    json.dump({"version": importlib.import_module(module).__version__}, sys.stdout)


if __name__ == "__main__":
    main()
