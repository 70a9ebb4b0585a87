"""Model files by themselves: names that differ, and rows that the model can take."""

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from gnomon.core.fields import Field, Kind
from gnomon.runtime.errors import EngineError, PackageError
from gnomon.runtime.packages.column_names import field_names
from gnomon.runtime.raw_models.derived_packing import derive_packing
from gnomon.runtime.raw_models.probe import TensorInfo
from gnomon.runtime.raw_models.raw_model import derive_model


@given(
    st.lists(
        st.text(max_size=140) | st.sampled_from(["a b", "a_b", "a/b", "a_b_2", "2a"]), unique=True
    )
)
def test_every_column_becomes_a_field_of_its_own(columns):
    names = field_names(columns)
    assert len(set(names)) == len(names) == len(columns)
    for column, name in zip(columns, names, strict=True):
        Field(name=name, kind=Kind.BOOL)
        assert name == column or column not in names


def file_of(nodes, inputs, outputs, constants=()):
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(*one) for one in inputs],
        [helper.make_tensor_value_info(*one) for one in outputs],
        [numpy_helper.from_array(array, name) for name, array in constants],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def test_names_that_become_one_are_distinguished():
    content = file_of(
        [helper.make_node("Neg", ["x y"], ["a/b"]), helper.make_node("Abs", ["x:y"], ["a:b"])],
        [("x y", TensorProto.FLOAT, ["N", 1]), ("x:y", TensorProto.FLOAT, ["N", 1])],
        [("a/b", TensorProto.FLOAT, ["N", 1]), ("a:b", TensorProto.FLOAT, ["N", 1])],
    )
    found = derive_model("onnx", content, "m.onnx")
    assert [one.name for one in found.profile.inputs] == ["x_y", "x_y_2"]
    assert [one.name for one in found.profile.outputs] == ["a_b", "a_b_2"]


def test_a_numbered_column_is_distinguished_from_a_tensor_of_its_name():
    dtype = np.dtype(np.float32)
    tensors = [TensorInfo("x", "FP32", dtype, (-1, 2)), TensorInfo("x_0", "FP32", dtype, (-1, 1))]
    fields = derive_packing(tensors, ()).contract.fields
    assert [one.name for one in fields] == ["x_0", "x_1", "x_0_2"]


def test_rows_that_the_model_cannot_take_are_left_out():
    whole = [(name, TensorProto.INT64, ["N", 1]) for name in "abq"]
    content = file_of([helper.make_node("Div", ["a", "b"], ["q"])], whole[:2], whole[2:])
    rows = derive_model("onnx", content, "division.onnx").rows
    assert rows
    assert all(row["b"] != 0 for row in rows)


def test_a_model_that_takes_no_row_is_refused_by_its_file():
    content = file_of(
        [helper.make_node("Gather", ["table", "x"], ["y"])],
        [("x", TensorProto.INT64, ["N", 1])],
        [("y", TensorProto.FLOAT, ["N", 1])],
        [("table", np.zeros(0, np.float32))],
    )
    with pytest.raises(EngineError, match=r"^lookup\.onnx: ONNX Runtime failed"):
        derive_model("onnx", content, "lookup.onnx")


def test_a_model_without_inputs_is_refused_by_its_file():
    node = helper.make_node("Constant", [], ["y"], value_floats=[1.0])
    content = file_of([node], [], [("y", TensorProto.FLOAT, [1])])
    with pytest.raises(PackageError, match=r"constant\.onnx: the model takes no input"):
        derive_model("onnx", content, "constant.onnx")


def test_vectors_of_bools_are_numbers():
    content = file_of(
        [helper.make_node("Greater", ["x", "zero"], ["y"])],
        [("x", TensorProto.FLOAT, ["N", 2])],
        [("y", TensorProto.BOOL, ["N", 2])],
        [("zero", np.zeros(1, np.float32))],
    )
    (output,) = derive_model("onnx", content, "flags.onnx").profile.outputs
    assert (output.kind, output.shape) == (Kind.VECTOR, (2,))
