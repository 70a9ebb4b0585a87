"""An estimator in the format of skops answers as it did; types that are not trusted are refused."""

import io
import json
import zipfile

import numpy as np
import pytest
import skops.io
from sklearn.base import BaseEstimator
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from gnomon.runtime.engines.base import load_engine
from gnomon.runtime.errors import EngineError, UntrustedPackage
from gnomon.runtime.packages.package import Package
from tests.runtime.engines.test_sklearn import LABELS, ROWS, build, manifest

# Each estimator has a process of its own, which imports scikit-learn.
pytestmark = pytest.mark.slow


def load(data, *outputs, **changes):
    return load_engine("skops", data, manifest(*outputs, format="skops", **changes))


@pytest.mark.parametrize(
    "estimator",
    [
        make_pipeline(StandardScaler(), Ridge()),
        RandomForestRegressor(n_estimators=3, random_state=0),
        HistGradientBoostingRegressor(max_iter=3),
    ],
    ids=lambda one: type(one).__name__,
)
def test_an_estimator_answers_as_it_did(estimator):
    estimator.fit(ROWS, LABELS)
    engine = load(skops.io.dumps(estimator))
    try:
        assert np.allclose(engine.run({"rows": ROWS})["predict"], estimator.predict(ROWS))
    finally:
        engine.close()


class Unknown(BaseEstimator):
    """An estimator of nobody's library."""


def test_a_package_of_it_needs_a_signature(tmp_path):
    fitted = Ridge().fit(ROWS, ROWS[:, 1])
    package, trust = build(tmp_path, skops.io.dumps(fitted), "skops", fitted)
    assert {one.name for one in package.manifest.dependencies} >= {"scikit-learn", "skops"}
    assert Package.open(package.path, trust).manifest.model_file == "model.skops"
    with pytest.raises(UntrustedPackage, match="runs code"):
        Package.open(package.path, None)


def test_types_that_are_not_trusted_are_refused_by_name():
    with pytest.raises(EngineError, match=r"types that are not trusted: .*Unknown"):
        load(skops.io.dumps(Unknown()))
    gadget = FunctionTransformer(func=__import__("os").system)
    with pytest.raises(EngineError, match=r"not trusted: .*FunctionTransformer"):
        load(skops.io.dumps(gadget))


def archive(**parts):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in parts.items():
            file.writestr(name.replace("_", "."), content)
    return data.getvalue()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"no archive", "no file of skops"),
        (archive(other="x"), "it has no schema.json"),
        (archive(schema_json=" " * (65 << 20)), "of which schema.json has"),
        (archive(schema_json=json.dumps({"__class__": "x"})), "cannot be loaded"),
    ],
)
def test_what_is_no_file_of_skops_is_refused(data, message):
    with pytest.raises(EngineError, match=message):
        load(data)
