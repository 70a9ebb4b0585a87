"""A recipe builds a package of one's own model; what is wrong with one is named, key by key."""

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from sklearn.linear_model import LogisticRegression

from gnomon.core.fields import Kind, Policy
from gnomon.pipeline.datasets.dataset import DatasetError
from gnomon.pipeline.formats import litert
from gnomon.pipeline.recipes.build import RecordedModel, build_recipe
from gnomon.pipeline.recipes.example import EXAMPLE
from gnomon.pipeline.recipes.file import read_recipe
from gnomon.pipeline.recipes.metrics import measure, measure_segments
from gnomon.runtime.errors import ConfigurationError, PackageError
from gnomon.runtime.models.model import Model
from gnomon.runtime.packages.signing import Signer
from gnomon.runtime.recording.sink import MemorySink
from gnomon.runtime.routing.routes import single
from gnomon.runtime.runtime import Runtime
from tests.support.recipes import deliveries, linear_onnx, write_project

SMALL = """
name = "duration"
version = "2"
[model]
file = "model.onnx"
[data]
files = ["train.csv"]
[inputs]
distance = {}
weight = {missing = 0}
vehicle = {}
hour = {}
[outputs]
minutes = {}
"""


def build(folder, recipe=SMALL, signer=None):
    path = write_project(folder, recipe)
    return build_recipe(read_recipe(path), folder / "package", signer)


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    return build(tmp_path_factory.mktemp("example"), EXAMPLE, Signer.generate())


def test_the_example_builds_what_it_says(example):
    fields = {field.name: field for field in example.profile.inputs}
    assert list(fields) == ["distance", "weight", "vehicle", "hour"]
    assert (fields["distance"].maximum, fields["distance"].unit) == (500, "km")
    assert fields["weight"].nullable
    assert fields["vehicle"].allowed == ("car", "truck", "van")
    assert not fields["hour"].monitored
    assert [rule.policy for rule in example.profile.rules] == [Policy.FLAG]
    assert example.profile.output_reference.rows == 2000
    assert max(one.design_effect for one in example.profile.input_reference.fields) >= 1
    manifest = example.manifest
    assert (manifest.owner, manifest.licence) == ("logistics team", "Apache-2.0")
    assert manifest.needs.memory_mib == 256
    assert "bicycle" in manifest.card
    assert manifest.reproducibility.parameters["recipe"] == EXAMPLE
    assert manifest.reproducibility.split["test_rows"] == 500


def test_the_example_predicts_as_its_model_does(example):
    model = Model(example)
    example.golden.check(model)
    row = {"distance": 10.0, "weight": None, "vehicle": "van", "hour": 9}
    assert model.predict_row(row)["minutes"] == pytest.approx(5 + 15 + 8)
    model.close()
    metrics = example.manifest.reproducibility.test_metrics
    assert metrics["mae_low"] < 3 * np.sqrt(2 / np.pi) < metrics["mae_high"] + 0.3
    assert metrics["blocks"] == 20


def test_golden_samples_are_spread_and_show_what_may_be_missing(example):
    rows = example.golden.rows
    assert 20 <= len(rows) <= 21
    assert any(row["weight"] is None for row in rows)
    assert {row["vehicle"] for row in rows} == {"car", "truck", "van"}


def test_the_same_recipe_gives_the_same_digest_elsewhere(tmp_path, example):
    again = build(tmp_path / "elsewhere", EXAMPLE, Signer.generate())
    assert again.digest == example.digest


def test_a_small_recipe_derives_the_rest(tmp_path):
    package = build(tmp_path)
    (output,) = package.profile.outputs
    assert output.kind is Kind.FLOAT32
    assert package.manifest.packing["tensors"][0]["features"][2]["encode"] == "code"
    assert package.manifest.reproducibility.test_metrics == {}
    assert package.manifest.reproducibility.split["kind"] == "none"
    assert package.signers == ()


def test_data_may_be_parquet_in_parts_split_by_time(tmp_path):
    recipe = SMALL.replace('["train.csv"]', '["one.parquet", "two.parquet"]')
    recipe += '[test]\nlabel = "took"\ntime = "day"\nstart = 2026-01-15\n'
    path = write_project(tmp_path, recipe)
    table = deliveries(2000, 0)
    pa.parquet.write_table(table[:700], tmp_path / "one.parquet")
    pa.parquet.write_table(table[700:], tmp_path / "two.parquet")
    package = build_recipe(read_recipe(path), tmp_path / "package", None)
    split = package.manifest.reproducibility.split
    assert split["kind"] == "time"
    assert split["train_rows"] + split["test_rows"] == 2000
    assert 0 < package.profile.input_reference.rows == split["train_rows"] < 2000


def test_one_hot_categories_of_a_litert_network(tmp_path):
    recipe = SMALL.replace("model.onnx", "model.tflite") + '[packing]\ncategories = "onehot"\n'
    path = write_project(tmp_path, recipe)
    layer = litert.Dense(np.array([[1.5], [0.5], [0], [4], [8], [0]]), np.array([5.0]), relu=False)
    (tmp_path / "model.tflite").write_bytes(litert.write_network([layer]))
    package = build_recipe(read_recipe(path), tmp_path / "package", None)
    model = Model(package)
    row = {"distance": 10.0, "weight": 2.0, "vehicle": "truck", "hour": 9}
    assert model.predict_row(row)["minutes"] == pytest.approx(5 + 15 + 1 + 4)
    model.close()


def test_a_model_whose_batch_is_one_is_run_row_by_row(tmp_path):
    path = write_project(tmp_path, SMALL)
    (tmp_path / "model.onnx").write_bytes(linear_onnx([1.5, 0.5, 4, 0], 5.0, batch=1))
    package = build_recipe(read_recipe(path), tmp_path / "package", None)
    assert package.profile.output_reference.rows == 2000


def sum_of(*tensors):
    """An ONNX model that adds up its input tensors, whole numbers among them."""
    nodes, total = [], None
    for name, _ in tensors:
        nodes.append(helper.make_node("Cast", [name], [f"{name}_f"], to=TensorProto.FLOAT))
        if total is not None:
            nodes.append(helper.make_node("Add", [total, f"{name}_f"], [f"{name}_t"]))
        total = f"{name}_f" if total is None else f"{name}_t"
    graph = helper.make_graph(
        nodes,
        "sum",
        [helper.make_tensor_value_info(name, kind, ["N", 1]) for name, kind in tensors],
        [helper.make_tensor_value_info(total, TensorProto.FLOAT, ["N", 1])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return model.SerializeToString()


TWO = """name = "duration"
version = "1"
model = {file = "model.onnx"}
data = {files = ["train.csv"]}
inputs = {distance = {}, hour = {missing = 0}}
outputs = {minutes = {}}
"""


@pytest.mark.parametrize(
    ("names", "more"),
    [
        (("distance", "hour"), ""),
        (
            ("x", "h"),
            '[[tensors]]\nname = "h"\ndtype = "INT64"\nfields = ["hour"]\n'
            '[[tensors]]\nname = "x"\nfields = ["distance"]\n',
        ),
    ],
)
def test_a_model_with_several_tensors(tmp_path, names, more):
    path = write_project(tmp_path, TWO + more)
    kinds = zip(names, (TensorProto.FLOAT, TensorProto.INT64), strict=True)
    (tmp_path / "model.onnx").write_bytes(sum_of(*kinds))
    package = build_recipe(read_recipe(path), tmp_path / "package", None)
    model = Model(package)
    assert model.predict_row({"distance": 10.5, "hour": 9})["minutes"] == pytest.approx(19.5)
    model.close()


def test_whole_numbers_need_a_number_for_what_is_missing(tmp_path):
    path = write_project(tmp_path, TWO.replace("{missing = 0}", "{}"))
    tensors = (("distance", TensorProto.FLOAT), ("hour", TensorProto.INT64))
    (tmp_path / "model.onnx").write_bytes(sum_of(*tensors))
    with pytest.raises(ConfigurationError, match="INT64 has no NaN; give a whole number"):
        build_recipe(read_recipe(path), tmp_path / "package", None)


def test_classes_are_named_and_their_errors_counted(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 2)).round(6)
    kinds = np.where(x[:, 0] > 0, "late", "early")
    flipped = np.where(rng.random(600) < 0.1, "late", kinds)
    pa.csv.write_csv(pa.table({"a": x[:, 0], "b": x[:, 1], "is": flipped}), tmp_path / "d.csv")
    from skl2onnx import to_onnx

    fitted = LogisticRegression().fit(x, (kinds == "late").astype(np.int64))
    onnx = to_onnx(fitted, x[:1].astype(np.float32), options={"zipmap": False})
    (tmp_path / "m.onnx").write_bytes(onnx.SerializeToString())
    (tmp_path / "r.toml").write_text(
        """name = "when"
version = "1"
model = {file = "m.onnx"}
data = {files = ["d.csv"]}
inputs = {a = {}, b = {}}
test = {files = ["d.csv"], label = "is"}
[outputs]
is = {tensor = "label", kind = "category", allowed = ["early", "late"]}
"""
    )
    package = build_recipe(read_recipe(tmp_path / "r.toml"), tmp_path / "package", None)
    assert {output["is"] for output in package.golden.outputs} == {"early", "late"}
    metrics = package.manifest.reproducibility.test_metrics
    assert metrics["error_rate_low"] < 0.06 < metrics["error_rate_high"]
    assert metrics["late.recall_low"] <= metrics["late.recall"] <= metrics["late.recall_high"]
    assert 0.8 < metrics["macro_f1"] < 1


def test_probabilities_that_are_maps_are_named_with_the_way_out(tmp_path):
    from skl2onnx import to_onnx

    x = np.random.default_rng(0).normal(size=(100, 2)).astype(np.float32)
    pa.csv.write_csv(pa.table({"a": x[:, 0], "b": x[:, 1]}), tmp_path / "d.csv")
    onnx = to_onnx(LogisticRegression().fit(x, x[:, 0] > 0), x[:1])
    (tmp_path / "m.onnx").write_bytes(onnx.SerializeToString())
    (tmp_path / "r.toml").write_text(
        """name = "when"
version = "1"
model = {file = "m.onnx"}
data = {files = ["d.csv"]}
inputs = {a = {}, b = {}}
outputs = {p = {tensor = "output_probability"}}
"""
    )
    said = (
        r"output_probability holds no numbers.*zipmap.*name the tensor behind it, 'probabilities'"
    )
    with pytest.raises(ConfigurationError, match=said):
        build_recipe(read_recipe(tmp_path / "r.toml"), tmp_path / "package", None)
    text = (tmp_path / "r.toml").read_text()
    (tmp_path / "r.toml").write_text(text.replace("output_probability", "probabilities"))
    package = build_recipe(read_recipe(tmp_path / "r.toml"), tmp_path / "package", None)
    assert all(sum(one["p"]) == pytest.approx(1) for one in package.golden.outputs)
    (tmp_path / "m.onnx").unlink()
    made = package.manifest.reproducibility
    recorded = RecordedModel(
        package.read_model(), made.code_version, made.code_clean, package.manifest.risk_tier
    )
    again = build_recipe(read_recipe(tmp_path / "r.toml"), tmp_path / "again", None, recorded)
    assert again.digest == package.digest


def two_outputs(folder, outputs, order):
    """Build a recipe of a model that gives `total` (a + b) and `gap` (a - b), in some order."""
    operators = {"total": "Add", "gap": "Sub"}
    values = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 1])
        for name in ("a", "b", "total", "gap")
    }
    graph = helper.make_graph(
        [helper.make_node(kind, ["a", "b"], [name]) for name, kind in operators.items()],
        "two",
        [values["a"], values["b"]],
        [values[name] for name in order],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    (folder / "m.onnx").write_bytes(model.SerializeToString())
    pa.csv.write_csv(pa.table({"a": [1.5, 3.5, 8.5], "b": [2.5, 1.5, 7.5]}), folder / "d.csv")
    path = folder / "r.toml"
    path.write_text(
        'name = "two"\nversion = "1"\nmodel = {file = "m.onnx"}\ndata = {files = ["d.csv"]}\n'
        f"inputs = {{a = {{}}, b = {{}}}}\noutputs = {{{outputs}}}\n"
    )
    return build_recipe(read_recipe(path), folder / "package", None)


@settings(max_examples=8, deadline=None)
@given(
    st.permutations(["total = {}", 'other = {tensor = "gap"}']),
    st.permutations(["total", "gap"]),
)
def test_an_output_reads_the_tensor_of_its_name_in_whatever_order_they_come(outputs, order):
    with tempfile.TemporaryDirectory() as folder:
        package = two_outputs(Path(folder), ", ".join(outputs), order)
        found = package.golden.outputs[package.golden.rows.index({"a": 8.5, "b": 7.5})]
        assert found == {"total": 16.0, "other": 1.0}


def test_two_outputs_of_one_tensor_are_refused(tmp_path):
    with pytest.raises(ConfigurationError, match=r"outputs\.other and outputs\.gap both read"):
        two_outputs(tmp_path, 'gap = {}, other = {tensor = "gap"}', ["total", "gap"])


def test_an_output_of_no_tensors_name_is_refused_where_there_are_several(tmp_path):
    message = r"outputs\.sum: none of the model's outputs has this name; .*tensor = .*gap"
    with pytest.raises(ConfigurationError, match=message):
        two_outputs(tmp_path, "sum = {}, gap = {}", ["total", "gap"])


@pytest.mark.parametrize(
    ("predictions", "shown"),
    [
        (np.array([[0.9, 0.1], [0.2, 0.8]]), r"\[0\.2, 0\.8\]"),
        (np.array([0, 1]), "0, 1"),
        (np.array([0.9, 0.2]), r"0\.2, 0\.9"),
    ],
    ids=["probabilities", "codes", "probability"],
)
def test_labels_that_are_no_class_of_the_model_are_no_error_rate(predictions, shown):
    labels = np.array(["no", None], dtype=object)
    with pytest.raises(ValueError, match=f"no label is a class of the predictions: no, .*{shown}"):
        measure("classification", labels, predictions, None)


def test_a_segment_may_be_predicted_wrongly_throughout():
    labels = np.array(["a"] * 40 + ["b"] * 40, dtype=object)
    predictions = np.array(["a"] * 80, dtype=object)
    side = np.array(["left"] * 40 + ["right"] * 40, dtype=object)
    found = measure_segments("classification", labels, predictions, None, {"side": side})
    assert (found["side=left"]["error_rate"], found["side=right"]["error_rate"]) == (0, 1)


def test_error_rate_ignores_rows_without_a_label():
    labels = np.array(["1", None, "2", "3"], dtype=object)
    found = measure("classification", labels, np.array([1, 7, 2, 4]), None)
    assert found["error_rate"] == pytest.approx(1 / 3)
    assert found["rows"] == 3


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('version = "2"', "", "version is missing"),
        ('version = "2"', 'version = "2"\ncolour = 1', "unknown key colour; known are name"),
        ('version = "2"', "version = 2", "version: Expected `str`, got `int`"),
        ('"model.onnx"', '"model.onnx"\nkind = "x"', "unknown key model.kind; known are file"),
        ('["train.csv"]', '"train.csv"', "data.files: Expected `array`, got `str`"),
        ('["train.csv"]', "[]", "data: give either files"),
        ('["train.csv"]', '["train.txt"]', "should all end in .csv, or all in .parquet"),
        ('["train.csv"]', '["train.csv"]\nblock = "week"', "data.block 'week' is no column"),
        ("distance = {}", "distance = {minimal = 0}", "unknown key inputs.distance.minimal"),
        ("distance = {}", 'distance = {missing = "0"}', "inputs.distance.missing should be"),
        ("distance = {}", 'distance = {encode = "hash"}', "use value, code or onehot"),
        ("distance = {}", 'distance = {minimum = "0"}', "field 'distance': minimum"),
        ("distance = {}", "miles = {}", "inputs.miles: 'miles' is no column of train.csv"),
        ("hour = {}", "", "has 4 columns, but the inputs make 3"),
        ("minutes = {}", 'minutes = {tensor = "y"}', "tensor y is no output of the model"),
        ("minutes = {}", "minutes = {}\nmore = {}", "outputs.more: none of the model's outputs"),
        ("minutes = {}", "", r"\[outputs\] is empty"),
        ("minutes = {}", "minutes = {minimum = 5, maximum = 1}", r"\[outputs\]: field 'minutes'"),
        (
            "minutes = {}",
            'minutes = {}\n[[rules]]\nname = "r"\nexpression = "x >"',
            "'r'",
        ),
        ("minutes = {}", "minutes = {}\n[golden]\nrows = 0", "golden.rows is 0"),
        ("minutes = {}", 'minutes = {}\n[test]\nlabel = "took"', "either files, or time and start"),
        (
            "minutes = {}",
            'minutes = {}\n[test]\nlabel = "it"\nfiles = ["test.csv"]',
            "'it' is no column of test.csv",
        ),
        (
            "minutes = {}",
            'minutes = {}\n[test]\nlabel = "took"\ntime = "day"\nstart = "soon"',
            "test.start should be a date",
        ),
        (
            "minutes = {}",
            'minutes = {}\n[[tensors]]\nname = "features"\nfields = ["speed"]',
            "field 'speed' is no input",
        ),
        (
            "minutes = {}",
            'minutes = {}\n[[tensors]]\nname = "x"\nfields = ["hour"]',
            r"the model takes the tensors features \(tensor\(float\)",
        ),
        ("minutes = {}", "minutes = {", "not readable as TOML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, old, new, message):
    with pytest.raises(ConfigurationError, match=message):
        build(tmp_path, SMALL.replace(old, new))
    assert not (tmp_path / "package").exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('["train.csv"]', '["train.csv"]\nfingerprint = "rows-1:0"', "expected rows-1:0, got"),
        ('["train.csv"]', '["absent.csv"]', "absent.csv"),
        ("distance = {}", "distance = {minimum = 20}", "training rows break the contract, first"),
        ("minutes = {}", "minutes = {maximum = -1}", "no row of train.csv satisfies the contracts"),
        ('["train.csv"]', '["train.csv"]\nblock = "took"', "rows without a block"),
    ],
)
def test_data_that_do_not_fit_are_refused(tmp_path, old, new, message):
    with pytest.raises(DatasetError, match=message):
        build(tmp_path, SMALL.replace(old, new))


def test_a_file_that_is_no_model_is_refused(tmp_path):
    path = write_project(tmp_path, SMALL)
    (tmp_path / "model.onnx").write_bytes(b"PK not a model")
    with pytest.raises(PackageError, match=r"model\.onnx is no onnx model"):
        build_recipe(read_recipe(path), tmp_path / "package", None)


def test_a_model_may_answer_with_vectors(tmp_path):
    path = write_project(tmp_path, SMALL)
    (tmp_path / "model.onnx").write_bytes(linear_onnx([[1, 2], [1, 2], [3, 4], [5, 6]]))
    package = build_recipe(read_recipe(path), tmp_path / "package", None)
    assert package.profile.outputs[0].shape == (2,)
    sink = MemorySink()
    runtime = Runtime(sink)
    runtime.load(package)
    runtime.apply([single("duration", package.digest)])
    for row in package.golden.rows:
        outputs = runtime.predict("duration", row).outputs
        assert len(outputs["minutes"]) == 2
    runtime.close()
    windows = [record.window for record in sink.records if record.HasField("window")]
    (window,) = [package.profile.read_window(one.window) for one in windows]
    assert window.output_cells("minutes")[0] == len(package.golden.rows)
