"""The count of ONNX's own tests tells equal answers, other answers and refusals apart."""

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from gnomon.bench.models.onnx_models import ModelTest, outcome_of

X = np.arange(6, dtype=np.float32).reshape(1, 2, 3)


def case_of(node: Any, inputs: list[Any], outputs: list[Any], *arrays: Any) -> ModelTest:
    graph = helper.make_graph([node], "g", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return ModelTest("test", model.SerializeToString(), arrays[:1], arrays[1:], 1e-3, 1e-7)


TENSOR = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, 3])
COLUMNS = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3])


@pytest.mark.parametrize(
    ("value", "array"), [(TENSOR, X), (COLUMNS, X[0])], ids=["a tensor", "columns"]
)
def test_equal_and_other_answers(value: Any, array: Any) -> None:
    answer = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    test = case_of(helper.make_node("Neg", ["x"], ["y"]), [value], [answer], array, -array)
    assert outcome_of(test, {"y": -array}).result == "equal"
    assert outcome_of(test, {"y": array}).result == "wrong"


def test_a_refusal_has_its_reason() -> None:
    answer = helper.make_tensor_sequence_value_info("y", TensorProto.FLOAT, None)
    test = case_of(helper.make_node("SequenceConstruct", ["x"], ["y"]), [TENSOR], [answer], X, [X])
    found = outcome_of(test, {"y": [X]})
    assert found.result == "refused"
    assert "gives no tensor; 'y' is seq(tensor(float))" in found.reason
