"""A pickled estimator answers as it did; what a pickle must not name is refused unread."""

import io
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import sklearn.utils._testing
import skops.io
from sklearn.base import BaseEstimator
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
)
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gnomon.core.contract import Contract
from gnomon.core.fields import Field, Kind
from gnomon.core.packing import Feature, Packing, Tensor
from gnomon.delivery.smoke_test import Limits, smoke_test
from gnomon.pipeline.build import ModelFile, build_package
from gnomon.pipeline.datasets.dataset import Dataset
from gnomon.pipeline.profiles.profile import build_profile, derive_fields
from gnomon.runtime.engines import pickle_policy, sklearn_worker
from gnomon.runtime.engines.sklearn import SklearnEngine, load
from gnomon.runtime.errors import EngineError, UntrustedPackage
from gnomon.runtime.packages.manifest import Dependency, Manifest, Reproducibility, Signature
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.signing import Signer, TrustStore

ROWS = np.random.default_rng(0).normal(size=(120, 3)).astype(np.float32)
LABELS = (ROWS[:, 0] > 0).astype(np.int64)


def manifest(*outputs: str, **changes: Any) -> Manifest:
    record = Reproducibility(
        code_version="", code_clean=True, dataset_uri="", dataset_fingerprint="", split={}
    )
    fields: dict[str, Any] = {
        "name": "eta",
        "version": "1",
        "format": "sklearn",
        "model_file": "model.sklearn",
        "signature": Signature(inputs=(), outputs=()),
        "packing": {},
        "output_tensors": outputs or ("predict",),
        "files": (),
        "reproducibility": record,
    }
    return Manifest(**(fields | changes))


@pytest.fixture(scope="module")
def ridge() -> Any:
    engine = load(pickle.dumps(Ridge().fit(ROWS, ROWS[:, 1])), manifest())
    yield engine
    engine.close()


@pytest.mark.parametrize(
    "estimator",
    [
        make_pipeline(StandardScaler(), Ridge()),
        HistGradientBoostingRegressor(max_iter=5),
        RandomForestRegressor(n_estimators=3, random_state=0),
        GradientBoostingRegressor(n_estimators=3),
        MLPRegressor(hidden_layer_sizes=(4,), max_iter=3, random_state=0),
        KNeighborsRegressor(algorithm="kd_tree"),
        GaussianProcessRegressor(),
        LogisticRegression(),
    ],
    ids=lambda one: type(one).__name__,
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_what_estimators_are_made_of_may_be_named(estimator: Any) -> None:
    data = pickle.dumps(estimator.fit(ROWS, LABELS))
    pickle_policy.scan(data)
    again = pickle_policy.ModelUnpickler(io.BytesIO(data)).load()
    assert np.allclose(again.predict(ROWS), estimator.predict(ROWS))


@pytest.mark.slow
def test_an_estimator_answers_from_its_process_as_it_did_here() -> None:
    estimator = HistGradientBoostingClassifier(max_iter=3).fit(ROWS, LABELS)
    engine = load(pickle.dumps(estimator), manifest("predict_proba", "predict"))
    answers = engine.run({"input": ROWS[:7]})
    assert np.allclose(answers["predict_proba"], estimator.predict_proba(ROWS[:7]))
    assert (answers["predict"] == estimator.predict(ROWS[:7])).all()
    engine.close()
    with pytest.raises(EngineError, match="was unloaded"):
        engine.run({"input": ROWS})


class Calls:
    """Pickled, it calls a function; so much for data."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def gadgets(canary: Path) -> dict[str, Calls]:
    path, touch = str(canary), f"touch '{canary}'"
    return {
        "posix.system": Calls(os.system, touch),
        "builtins.eval": Calls(eval, f"open({path!r}, 'w')"),
        "builtins.getattr": Calls(getattr, os, "system"),
        "subprocess.Popen": Calls(subprocess.Popen, ["touch", path]),
        "numpy.memmap": Calls(np.memmap, path, "uint8", "w+", 0, (4,)),
        "numpy.load": Calls(np.load, path),
        "_testing": Calls(sklearn.utils._testing.assert_run_python_script_without_output, "1"),
        "io.open": Calls(open, path, "w"),
    }


@pytest.mark.parametrize("name", gadgets(Path("canary")))
@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_gadget_is_refused_by_its_name(tmp_path: Path, name: str, protocol: int) -> None:
    canary = tmp_path / "canary"
    estimator: Any = Ridge().fit(ROWS, LABELS)
    estimator.extra = gadgets(canary)[name]
    try:
        data = pickle.dumps(estimator, protocol)
    except (TypeError, pickle.PicklingError):
        pytest.skip("not even pickle writes it")
    with pytest.raises(pickle_policy.ForbiddenName, match="it names"):
        pickle_policy.ModelUnpickler(io.BytesIO(data)).load()
    if name != "_testing":
        with pytest.raises(EngineError, match="the pickle is refused: it names"):
            load(data, manifest())
    assert not canary.exists()


def test_functions_of_scikit_learn_are_refused_before_a_process_starts(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"the pickle is refused: it names .*_testing"):
        load(pickle.dumps(gadgets(tmp_path / "canary")["_testing"]), manifest())


def test_what_hides_its_names_is_refused() -> None:
    for data in (b"\x82\x01.", b"\x80\x04\x8c\x02os\x93.", b"not a pickle", b""):
        with pytest.raises(pickle.UnpicklingError):
            pickle_policy.scan(data)
        with pytest.raises(EngineError, match="the pickle is refused"):
            load(data, manifest())


class Writes(BaseEstimator):
    """An estimator of nobody's library."""


def test_an_estimator_of_another_library_is_refused() -> None:
    with pytest.raises(EngineError, match=r"it names .*Writes"):
        load(pickle.dumps(Writes()), manifest())


@pytest.mark.slow
@pytest.mark.parametrize("format", ["sklearn", "skops"])
@pytest.mark.parametrize(
    ("fields", "is_refused"),
    [("abc", False), ("bac", True), ("acb", True), ("xyc", False), ("xyb", True)],
)
def test_columns_in_another_order_than_in_training_are_refused(
    format: str, fields: str, is_refused: bool
) -> None:
    frame = pd.DataFrame(ROWS, columns=list("abc"))
    fitted = Ridge().fit(frame, ROWS[:, 1])
    content = pickle.dumps(fitted) if format == "sklearn" else skops.io.dumps(fitted)
    features = [{"field": field} for field in fields]
    packing = {"tensors": [{"name": "rows", "dtype": "FP32", "features": features}]}
    made = manifest(format=format, packing=packing)
    if is_refused:
        with pytest.raises(EngineError, match=r"fitted on the columns a, b, c, but .* packed as"):
            load(content, made)
        return
    load(content, made).close()


@pytest.mark.slow
def test_a_process_that_died_is_started_again(ridge: SklearnEngine) -> None:
    before = ridge.run({"input": ROWS})["predict"]
    assert ridge._process
    ridge._process.kill()
    with pytest.raises(EngineError, match="the estimator's process"):
        ridge.run({"input": ROWS})
    assert (ridge.run({"input": ROWS})["predict"] == before).all()


@pytest.mark.slow
def test_rows_that_do_not_fit_are_the_estimators_own_refusal(ridge: SklearnEngine) -> None:
    with pytest.raises(EngineError, match="the estimator failed: ValueError: X has 2 features"):
        ridge.run({"input": ROWS[:, :2]})
    with pytest.raises(EngineError, match="takes one tensor"):
        ridge.run({"a": ROWS, "b": ROWS})
    assert len(ridge.run({"input": ROWS})["predict"]) == len(ROWS)


def test_a_library_of_another_version_is_refused() -> None:
    pinned = (Dependency(name="scikit-learn", version="0.0.1"),)
    with pytest.raises(EngineError, match=r"scikit-learn .*, built with 0\.0\.1"):
        load(b"", manifest(dependencies=pinned))
    with pytest.raises(EngineError, match="not 'score'"):
        load(b"", manifest("score"))


@pytest.mark.slow
def test_the_process_can_put_no_byte_into_a_file(tmp_path: Path) -> None:
    text = (
        "from gnomon.runtime.engines import sklearn_worker\n"
        "sklearn_worker._confine(0)\n"
        "with open('canary', 'w') as file:\n    file.write('x')"
    )
    done = subprocess.run(
        [sys.executable, "-c", text], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    # With Landlock the file is not even made.
    assert "Permission denied" in done.stderr or "File too large" in done.stderr
    assert not any(file.read_bytes() for file in tmp_path.iterdir())


def test_arrays_cross_as_they_are() -> None:
    for array in (ROWS, ROWS.T, LABELS, np.array(3.5), np.array(["a", "bc"])):
        assert (sklearn_worker.unpack(sklearn_worker.pack(array)) == array).all()
    with pytest.raises(ValueError, match="holds no numbers"):
        sklearn_worker.unpack(sklearn_worker.Array("|O", (1,), bytes(8)))


def build(folder: Path, content: bytes, format: str, estimator: Any) -> tuple[Package, TrustStore]:
    """Build a package of an estimator over three numbers, and trust who signed it."""
    table = pa.table({name: ROWS[:, number] for number, name in enumerate("abc")})
    data = Dataset(table, "memory:")
    contract = Contract(derive_fields(data, ["a", "b", "c"]))
    model = ModelFile(
        format=format,
        content=content,
        packing=Packing(contract, [Tensor("rows", "FP32", tuple(map(Feature, "abc")))]),
        output_tensors=("predict",),
    )
    outputs = (Field(name="y", kind=Kind.FLOAT64),)
    profile = build_profile(data, contract.fields, outputs, {"y": estimator.predict(ROWS)})
    signer = Signer.generate()
    package = build_package(
        folder / "package",
        "eta",
        "1",
        model=model,
        profile=profile,
        golden_rows=table.take([0, 1]).to_pylist(),
        reproducibility=manifest().reproducibility,
        signer=signer,
    )
    return package, TrustStore([signer.public_key])


@pytest.mark.slow
def test_a_package_of_a_pickle_is_built_opened_and_tried_only_with_trust(tmp_path: Path) -> None:
    estimator = Ridge().fit(ROWS, ROWS[:, 1])
    package, trust = build(tmp_path, pickle.dumps(estimator), "sklearn", estimator)
    assert {one.name for one in package.manifest.dependencies} >= {"scikit-learn", "numpy"}
    with pytest.raises(UntrustedPackage, match="runs code"):
        Package.open(package.path, None)
    report = smoke_test(package.path, trust, Limits(runs=5))
    assert report.passed, report.checks
    with pytest.raises(UntrustedPackage, match="runs code"):
        smoke_test(package.path, None)
