"""Do trees answer with the trainer's own bits? `gnomon bench trees-parity`.

For each trainer a model with missing values, ties and, where it has them, categories is trained and
compared with the trainer's library on hostile rows: at every split and beside it, with special
values. The library runs in a process of its own. A trainer that is not installed is left out.
"""

import argparse
import importlib.util
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnomon.pipeline.formats.sklearn_trees import read_estimator
from gnomon.pipeline.proofs.tree_proof import TreeProof, compare_with_trainer
from gnomon.runtime.raw_models.trees.recognise import as_trees

__all__ = ["main", "run"]

_ROWS, _TREES = 1_000_000, 100
_FEATURES = 8
_CATEGORIES = 30

#: Trains on rows and a target, writes files into a folder; what is ours, what is the trainer's.
Train = Callable[[NDArray[np.float64], NDArray[np.float64], Path], tuple[bytes, Path]]


def run(rows: int = _ROWS, trees: int = _TREES) -> Iterator[tuple[str, TreeProof]]:
    """Yield what is compared, and how it came out.

    Raises:
        PackageError: a raw score differs.
    """
    features, target = _data()
    for name, (library, train) in _models(trees).items():
        if importlib.util.find_spec(library) is None:
            continue
        with tempfile.TemporaryDirectory() as folder:
            file, path = train(features, target, Path(folder))
            trainer = name.partition(",")[0]
            proof = compare_with_trainer(trainer, path, file, count=rows)
            if proof is not None:
                yield name, proof


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line for each model."""
    parser = argparse.ArgumentParser(prog="gnomon bench trees-parity", description=__doc__)
    parser.add_argument("--rows", type=int, default=_ROWS)
    for name, proof in run(parser.parse_args(arguments).rows):
        print(f"{name:48} {proof}", flush=True)


def _data() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return rows of shape (5000, 8), the last a code, and a target of shape (5000,)."""
    random = np.random.default_rng(0)
    rows = random.standard_normal((5_000, _FEATURES))
    rows[:, 1] = rows[:, 1].round()
    rows[random.random(rows.shape) < 0.05] = np.nan
    rows[:, -1] = random.integers(0, _CATEGORIES, len(rows))
    filled = np.nan_to_num(rows)
    return rows, filled[:, 0] * filled[:, 2] + filled[:, 1] + np.sin(rows[:, -1])


def _models(trees: int) -> dict[str, tuple[str, Train]]:
    def lightgbm(objective: str) -> Train:
        def train(rows: Any, target: Any, folder: Path) -> tuple[bytes, Path]:
            import lightgbm

            data = lightgbm.Dataset(rows, _labels(objective, target), categorical_feature=[7])
            settings = {"objective": objective, "num_class": 1, "verbose": -1, "num_threads": 1}
            settings["num_class"] = 3 if objective == "multiclass" else 1
            path = folder / "model.txt"
            lightgbm.train(settings, data, trees).save_model(path)
            return as_trees(path.read_bytes()), path

        return train

    def xgboost(objective: str) -> Train:
        def train(rows: Any, target: Any, folder: Path) -> tuple[bytes, Path]:
            import xgboost

            data = xgboost.DMatrix(
                rows,
                _labels(objective, target),
                feature_types=[*"qqqqqqqc"],
                enable_categorical=True,
            )
            settings: dict[str, Any] = {"objective": objective, "nthread": 1}
            if objective.startswith("multi"):
                settings["num_class"] = 3
            path = folder / "model.json"
            xgboost.train(settings, data, trees).save_model(path)
            return as_trees(path.read_bytes()), path

        return train

    def catboost(kind: str) -> Train:
        def train(rows: Any, target: Any, folder: Path) -> tuple[bytes, Path]:
            import catboost

            settings = {"iterations": trees, "verbose": 0, "allow_writing_files": False}
            model = getattr(catboost, kind)(thread_count=1, **settings)
            model.fit(rows, _labels(kind, target))
            path, other = folder / "model.json", folder / "model.cbm"
            model.save_model(str(path), format="json")
            # Its own binary form: CatBoost rounds numbers of its own JSON.
            model.save_model(str(other))
            return as_trees(path.read_bytes()), other

        return train

    def sklearn(kind: str, **settings: Any) -> Train:
        def train(rows: Any, target: Any, folder: Path) -> tuple[bytes, Path]:
            import joblib  # type: ignore[import-untyped]
            import sklearn.ensemble

            estimator = getattr(sklearn.ensemble, kind)(**settings)
            whole = np.nan_to_num(rows) if kind.startswith("Gradient") else rows
            estimator.fit(whole, _labels(kind, target))
            joblib.dump(estimator, folder / "model.pkl")
            return read_estimator(estimator), folder / "model.pkl"

        return train

    count = {"max_iter": trees, "categorical_features": [7]}
    return {
        "LightGBM, regression with categories": ("lightgbm", lightgbm("regression")),
        "LightGBM, multiclass with categories": ("lightgbm", lightgbm("multiclass")),
        "XGBoost, regression with categories": ("xgboost", xgboost("reg:squarederror")),
        "XGBoost, multi:softprob with categories": ("xgboost", xgboost("multi:softprob")),
        "CatBoost, regressor": ("catboost", catboost("CatBoostRegressor")),
        "CatBoost, classifier of three": ("catboost", catboost("CatBoostClassifier")),
        "scikit-learn, random forest": (
            "sklearn",
            sklearn("RandomForestRegressor", n_estimators=trees, max_depth=8),
        ),
        "scikit-learn, gradient boosting": (
            "sklearn",
            sklearn("GradientBoostingClassifier", n_estimators=max(trees // 3, 1)),
        ),
        "scikit-learn, histogram boosting, categories": (
            "sklearn",
            sklearn("HistGradientBoostingClassifier", **count),
        ),
        "scikit-learn, isolation forest": (
            "sklearn",
            sklearn("IsolationForest", n_estimators=trees),
        ),
    }


def _labels(kind: str, target: NDArray[np.float64]) -> NDArray[Any]:
    """Return classes for a classifier, else the target, of shape (rows,)."""
    return np.digitize(target, [-1, 1]) if "lass" in kind or "multi" in kind else target


if __name__ == "__main__":
    main()
