"""Classifiers of scikit-learn, as exported: classes and probabilities are outputs."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from gnomon.runtime.models.tensor_model import open_model
from gnomon.runtime.raw_models.raw_model import derive_model, write_raw_model
from gnomon.runtime.raw_models.zip_map import unwrap_zip_maps


def classifier(**classes: Any) -> bytes:
    """A model of the numbers in the rows, as probabilities in a map."""
    graph = helper.make_graph(
        [
            helper.make_node("Softmax", ["x"], ["probabilities"]),
            helper.make_node(
                "ZipMap", ["probabilities"], ["output"], domain="ai.onnx.ml", **classes
            ),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 3])],
        [
            helper.make_value_info(
                "output",
                helper.make_sequence_type_proto(
                    helper.make_map_type_proto(
                        TensorProto.STRING
                        if "classlabels_strings" in classes
                        else TensorProto.INT64,
                        helper.make_tensor_type_proto(TensorProto.FLOAT, []),
                    )
                ),
            )
        ],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    data: bytes = model.SerializeToString()
    return data


@pytest.mark.parametrize(
    ("classes", "names"),
    [
        ({"classlabels_strings": ["ä", "b", "c"]}, ("ä", "b", "c")),
        ({"classlabels_int64s": [-1, 0, 300]}, ("-1", "0", "300")),
    ],
)
def test_a_map_of_probabilities_is_a_tensor_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, classes: Any, names: tuple[str, ...]
) -> None:
    caplog.set_level(logging.INFO, "gnomon.runtime")
    content = classifier(**classes)
    (tmp_path / "m.onnx").write_bytes(content)
    model = open_model(write_raw_model(tmp_path / "m.onnx", tmp_path / "p", "m", "1"))
    found = model.predict_row({"x_0": 1.0, "x_1": 1.0, "x_2": 1.0})
    model.close()
    assert found["probabilities"] == pytest.approx([1 / 3] * 3)
    (field,) = model.outputs.fields
    assert field.description == f"of the classes {', '.join(names)}"
    assert "The map 'output' is served as the tensor 'probabilities'" in caplog.text
    rewritten, (one,) = unwrap_zip_maps(content)
    assert one == ("output", "probabilities", names)
    onnx.checker.check_model(onnx.load_from_string(rewritten))
    assert unwrap_zip_maps(rewritten) == (rewritten, ())


@given(st.data())
def test_a_damaged_file_comes_back_or_is_read(data: st.DataObject) -> None:
    content = bytearray(classifier(classlabels_strings=["a", "b", "c"]))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    damaged = bytes(content[: data.draw(st.integers(0, len(content)))])
    found, maps = unwrap_zip_maps(damaged)
    assert maps or found == damaged


def test_other_files_stay_as_they_are() -> None:
    assert unwrap_zip_maps(b"ZipMap") == (b"ZipMap", ())
    assert unwrap_zip_maps(b"") == (b"", ())


@pytest.mark.slow
@pytest.mark.parametrize("encoder", ["onehot", "ordinal", "words"])
def test_pipelines_over_texts_work_as_exported(tmp_path: Path, encoder: str) -> None:
    import pandas as pd
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType
    from sklearn.compose import ColumnTransformer
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

    chance = np.random.default_rng(0)
    words = np.array(["red wine", "white wine", "dark beer", "light beer"], object)
    rows = pd.DataFrame(
        {"text": words[chance.integers(0, 4, 200)], "number": chance.normal(size=200)}
    )
    target = np.where(rows["text"].str.contains("wine"), "wine", "beer")
    made: Any = {
        "onehot": (OneHotEncoder(handle_unknown="ignore"), ["text"]),
        "ordinal": (OrdinalEncoder(), ["text"]),
        "words": (TfidfVectorizer(lowercase=False), "text"),
    }[encoder]
    pipeline = make_pipeline(
        ColumnTransformer([("text", *made), ("rest", "passthrough", ["number"])]),
        LogisticRegression(),
    ).fit(rows, target)
    inputs = [("text", StringTensorType([None, 1])), ("number", FloatTensorType([None, 1]))]
    exported = convert_sklearn(pipeline, initial_types=inputs)
    (tmp_path / "m.onnx").write_bytes(exported.SerializeToString())
    model = open_model(write_raw_model(tmp_path / "m.onnx", tmp_path / "p", "m", "1"))
    columns = {"text": rows["text"].to_numpy(object), "number": rows["number"].to_numpy()}
    found = model.predict_columns(columns)
    one = model.predict_row({"text": "dark beer", "number": 0.5})
    model.close()
    assert found["output_label"].tolist() == pipeline.predict(rows).tolist()
    probabilities = pipeline.predict_proba(rows)
    assert np.abs(found["probabilities"] - probabilities).max() < 1e-5
    assert one["output_label"] == "beer"


def test_without_maps_nothing_is_noted() -> None:
    graph = helper.make_graph(
        [helper.make_node("Neg", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 2])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    assert derive_model("onnx", model.SerializeToString(), "m.onnx").notes == ()
