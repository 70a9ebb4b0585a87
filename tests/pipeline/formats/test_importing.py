"""What somebody else left becomes a package; what is no model of rows is refused."""

import json
import pickle
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gnomon.core.fields import Kind
from gnomon.pipeline.formats import litert
from gnomon.pipeline.formats.importing import Source, import_model, read_source
from gnomon.pipeline.formats.sklearn_source import from_estimator, unpickle
from gnomon.runtime.errors import ConfigurationError, EngineError, InvalidInput, PackageError
from gnomon.runtime.models.model import Model
from gnomon.runtime.models.tensor_model import open_model
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.signing import Signer, TrustStore
from tests.support.recipes import linear_onnx


def bring(folder, source, **options):
    return import_model(source, folder / "package", "found", "1", signer=None, **options)


def predict(package, row):
    model = Model(package)
    try:
        package.golden.check(model)
        return model.predict_row(row)
    finally:
        model.close()


def one_node(kind, shape, dtype=TensorProto.FLOAT, operator="Identity"):
    node = helper.make_node(operator, ["x:0"], ["y"])
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info("x:0", dtype, shape)],
        [helper.make_tensor_value_info("y", dtype, shape)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return Source("one.onnx", kind, model.SerializeToString())


def weighted_sum(inputs):
    """An ONNX model with an input `[N, 1]` a name: the sum of each times its weight."""
    nodes, total = [], ""
    for name, weight in inputs.items():
        constant = helper.make_tensor(f"{name}_w", TensorProto.FLOAT, [1], [weight])
        nodes.append(helper.make_node("Constant", [], [f"{name}_w"], value=constant))
        nodes.append(helper.make_node("Mul", [name, f"{name}_w"], [f"{name}_p"]))
        if total:
            nodes.append(helper.make_node("Add", [total, f"{name}_p"], [f"{name}_t"]))
        total = f"{name}_t" if total else f"{name}_p"
    nodes.append(helper.make_node("Identity", [total], ["sum"]))
    values = [helper.make_tensor_value_info(one, TensorProto.FLOAT, ["N", 1]) for one in inputs]
    output = helper.make_tensor_value_info("sum", TensorProto.FLOAT, ["N", 1])
    graph = helper.make_graph(nodes, "sum", values, [output])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return model.SerializeToString()


def write_mlflow(folder, content, columns):
    """An MLflow model folder whose signature names columns."""
    folder.mkdir()
    (folder / "model.onnx").write_bytes(content)
    inputs = json.dumps([{"name": column, "type": "float"} for column in columns])
    (folder / "MLmodel").write_text(
        f"flavors:\n  onnx: {{data: model.onnx}}\nsignature:\n  inputs: '{inputs}'\n"
    )
    return folder


def test_a_bare_onnx_file_has_a_contract_of_shapes_and_types(tmp_path):
    (tmp_path / "m.onnx").write_bytes(linear_onnx([1.0, 2.0, 3.0], 5.0))
    package = bring(tmp_path, read_source(tmp_path / "m.onnx"))
    fields = package.profile.inputs
    assert [field.name for field in fields] == ["features_0", "features_1", "features_2"]
    assert {field.kind for field in fields} == {Kind.FLOAT32}
    assert package.profile.input_reference.rows == 0
    assert "made-up rows" in package.manifest.card
    row = {"features_0": 1, "features_1": 1, "features_2": 2}
    assert predict(package, row)["minutes"] == pytest.approx(14)
    with pytest.raises(InvalidInput, match="finite"):
        predict(package, row | {"features_0": float("inf")})


def test_columns_may_be_named_and_the_digest_stays_the_same(tmp_path):
    source = Source("m.onnx", "onnx", linear_onnx([1.0, 2.0], 0.0))
    signer = Signer.generate()
    one, two = (
        import_model(source, tmp_path / part, "m", "1", signer=signer, columns=["a", "b"])
        for part in ("one", "two")
    )
    assert one.digest == two.digest
    assert Package.open(tmp_path / "one", TrustStore([signer.public_key])).signers
    assert predict(one, {"a": 1.0, "b": 2.0})["minutes"] == pytest.approx(5)
    with pytest.raises(ConfigurationError, match="3 columns are named, but the model takes 2"):
        import_model(source, tmp_path / "x", "m", "1", signer=None, columns=["a", "b", "c"])


def test_a_litert_file_and_a_wide_tensor(tmp_path):
    layer = litert.Dense(np.ones((100, 1)), np.zeros(1), relu=False)
    (tmp_path / "m.tflite").write_bytes(litert.write_network([layer]))
    package = bring(tmp_path, read_source(tmp_path / "m.tflite"))
    assert [(one.name, one.shape) for one in package.profile.inputs] == [("input", (100,))]
    assert predict(package, {"input": [0.5] * 100})["output"] == pytest.approx(50)


def test_whole_numbers_and_unusual_names(tmp_path):
    package = bring(tmp_path, one_node("onnx", ["N", 1], TensorProto.INT64))
    assert [(one.name, one.kind) for one in package.profile.inputs] == [("x_0", Kind.INT64)]
    assert predict(package, {"x_0": 7}) == {"y": 7}


@pytest.mark.parametrize(
    ("source", "value"),
    [
        (one_node("onnx", ["N", 3, 2, 2]), np.ones((3, 2, 2)).tolist()),
        (one_node("onnx", ["N", 1], TensorProto.STRING), ["ü"]),
        (one_node("onnx", [2, 3], TensorProto.INT8), [[1, 2, 3], [-4, 5, 127]]),
    ],
)
def test_tensors_that_are_no_rows_of_numbers_are_taken_as_they_are(tmp_path, source, value):
    package = bring(tmp_path, source)
    model = open_model(package)
    package.golden.check(model)
    assert model.predict_row({"x_0": value}) == {"y": value}
    model.close()


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        (
            Source("m", "onnx", b"nothing"),
            PackageError,
            "m is no onnx model: .*not valid",
        ),
        (Source("m", "pickle", b""), PackageError, "format 'pickle' is unknown"),
        (
            one_node("onnx", ["N", "M"]),
            ConfigurationError,
            "does not say how many columns it takes; name them",
        ),
    ],
)
def test_what_is_no_model_of_rows_is_refused(tmp_path, source, error, message):
    with pytest.raises(error, match=message):
        bring(tmp_path, source)
    assert list(tmp_path.iterdir()) == []


def test_golden_rows_are_those_with_finite_answers(tmp_path):
    package = bring(tmp_path, one_node("onnx", ["N", 1], operator="Log"))
    assert 0 < len(package.golden.rows) < 5
    with pytest.raises(EngineError, match="no made-up row with finite numbers"):
        bring(tmp_path / "x", Source("m", "onnx", linear_onnx([float("inf")], float("nan"))))


def test_an_mlflow_folder_names_its_columns(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(linear_onnx([1.0, 2.0], 0.0))
    inputs = json.dumps([{"name": "a", "type": "double"}, {"name": "b", "type": "double"}])
    lines = "flavors:\n  onnx: {data: %s}\nsignature:\n  inputs: '" + inputs + "'\n"
    (folder / "MLmodel").write_text(lines % "model.onnx")
    package = bring(tmp_path, read_source(folder))
    assert [field.name for field in package.profile.inputs] == ["a", "b"]

    (folder / "MLmodel").write_text(lines % "../../secret.onnx")
    with pytest.raises(ConfigurationError, match="is outside of the folder"):
        read_source(folder)
    (folder / "MLmodel").write_text("flavors:\n  sklearn: {pickled_model: model.pkl}\n")
    with pytest.raises(ConfigurationError, match="the flavours sklearn, not onnx"):
        read_source(folder)
    (folder / "MLmodel").write_text("!!python/object/apply:os.system ['true']")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_source(folder)


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(st.permutations(["debt", "income", "x:0"]), st.permutations(["debt", "income", "x:0"]))
def test_columns_reach_the_input_of_their_name_in_whatever_order_they_come(inputs, columns):
    weights = {"debt": -1.0, "income": 1.0, "x:0": 100.0}
    content = weighted_sum({name: weights[name] for name in inputs})
    with tempfile.TemporaryDirectory() as folder:
        named = import_model(
            Source("m.onnx", "onnx", content),
            Path(folder) / "named",
            "found",
            "1",
            signer=None,
            columns=columns,
        )
        signed = bring(
            Path(folder), read_source(write_mlflow(Path(folder) / "m", content, columns))
        )
        row = {"debt": 30.0, "income": 100.0, "x_0": 7.0}
        assert predict(named, row)["sum"] == predict(signed, row)["sum"] == pytest.approx(770)
        assert named.manifest.packing == signed.manifest.packing


@pytest.mark.parametrize(
    "columns", [["age", "debt"], ["debt"], ["debt", "debt"], ["debt_0", "income"]]
)
def test_columns_that_are_not_the_inputs_of_the_model_are_refused(tmp_path, columns):
    content = weighted_sum({"income": 1.0, "debt": -1.0})
    message = f"takes income, debt by name, but the columns are {', '.join(columns)};"
    with pytest.raises(ConfigurationError, match=message):
        bring(tmp_path, read_source(write_mlflow(tmp_path / "m", content, columns)))


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("flavors: onnx", "Expected `object | null`, got `str`"),
        ("flavors: {onnx: model.onnx}", "Expected `object`, got `str`"),
        ("flavors: {onnx: {}}\nsignature: named", "Expected `object | null`, got `str`"),
        ("flavors: {onnx: {}}\nsignature: {inputs: [a, b]}", "Expected `str | null`, got `array`"),
        ("flavors: {onnx: {}}\nsignature: {inputs: 'a, b'}", "should be a list of named columns"),
        ("flavors: {onnx: {}}\nsignature: {inputs: '[1]'}", "should be a list of named columns"),
        ("[" * 100_000, "cannot be read"),
        ("\udcff", "cannot be read"),
    ],
    ids=range(8),
)
def test_an_mlflow_document_of_another_shape_is_refused(tmp_path, document, message):
    folder = write_mlflow(tmp_path / "m", linear_onnx([1.0, 2.0]), ["a", "b"])
    (folder / "MLmodel").write_bytes(document.encode(errors="surrogateescape"))
    with pytest.raises(ConfigurationError, match=message) as caught:
        read_source(folder)
    assert str(folder / "MLmodel") in str(caught.value)


def test_columns_may_be_renamed_but_not_change_places(tmp_path):
    folder = write_mlflow(tmp_path / "m", linear_onnx([1.0, 2.0], 0.0), ["a", "b"])
    with pytest.raises(ConfigurationError, match="columns a, b; 'b' is at another place in b, a"):
        bring(tmp_path, read_source(folder), columns=["b", "a"])
    package = bring(tmp_path, read_source(folder), columns=["first", "b"])
    assert predict(package, {"first": 1.0, "b": 2.0})["minutes"] == pytest.approx(5)


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    return pd.DataFrame({"a": rng.normal(size=300), "b": rng.normal(size=300)})


def test_a_scikit_learn_pipeline_is_converted_and_compared(tmp_path, frame):
    fitted = make_pipeline(StandardScaler(), Ridge()).fit(frame, 3 * frame.a - frame.b)
    package = bring(tmp_path, from_estimator(fitted))
    assert [field.name for field in package.profile.inputs] == ["a", "b"]
    expected = fitted.predict(pd.DataFrame({"a": [1.0], "b": [2.0]}))[0]
    assert predict(package, {"a": 1.0, "b": 2.0})["variable"] == pytest.approx(expected, rel=1e-4)


def test_a_classifier_tells_the_order_of_its_classes(tmp_path, frame):
    fitted = LogisticRegression().fit(frame, np.where(frame.a > 0, "late", "early"))
    package = bring(tmp_path, from_estimator(fitted))
    assert "those of: early, late." in package.manifest.card
    assert "Outputs that are not numbers are left out: label." in package.manifest.card
    given = predict(package, {"a": 1.0, "b": 0.0})["probabilities"]
    expected = fitted.predict_proba(pd.DataFrame({"a": [1.0], "b": [0.0]}))[0]
    assert given == pytest.approx(expected, rel=1e-4)


def test_what_cannot_be_converted_is_refused(frame):
    with pytest.raises(PackageError, match="TransformedTargetRegressor cannot be converted"):
        from_estimator(TransformedTargetRegressor(Ridge()).fit(frame, frame.a))
    with pytest.raises(PackageError, match="is not fitted"):
        from_estimator(HistGradientBoostingRegressor())


def test_a_pickle_is_not_read_unless_that_is_requested(tmp_path, frame):
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(Ridge().fit(frame, frame.a)))
    with pytest.raises(ConfigurationError, match="should end in"):
        read_source(path)
    assert from_estimator(unpickle(path)).columns == ("a", "b")
    path.write_bytes(b"nothing")
    with pytest.raises(ConfigurationError, match="cannot be loaded"):
        unpickle(path)


def test_an_mlflow_folder_with_an_estimator_is_read_only_where_that_is_requested(tmp_path, frame):
    folder = tmp_path / "model"
    folder.mkdir()
    fitted = make_pipeline(StandardScaler(), Ridge()).fit(frame, frame.a)
    (folder / "model.pkl").write_bytes(pickle.dumps(fitted))
    (folder / "MLmodel").write_text("flavors:\n  sklearn: {pickled_model: model.pkl}\n")
    with pytest.raises(ConfigurationError, match="not onnx"):
        read_source(folder)
    package = bring(tmp_path, from_estimator(unpickle(folder)))
    expected = fitted.predict(pd.DataFrame({"a": [1.0], "b": [2.0]}))[0]
    assert predict(package, {"a": 1.0, "b": 2.0})["variable"] == pytest.approx(expected, rel=1e-4)
    (folder / "MLmodel").write_text("flavors:\n  sklearn: {pickled_model: ../../x.pkl}\n")
    with pytest.raises(ConfigurationError, match="is outside of the folder"):
        unpickle(folder)
