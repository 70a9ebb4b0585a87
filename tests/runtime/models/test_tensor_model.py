"""Models whose tensors are served as they are: of any shape and type, exactly, or refused."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from onnx import TensorProto, helper, numpy_helper

from gnomon.core.contract import Contract
from gnomon.core.fields import ContractError, Field, Kind
from gnomon.runtime.errors import GnomonError, InvalidInput, InvalidOutput, PackageError
from gnomon.runtime.models.tensor_contract import TensorContract, means_of
from gnomon.runtime.packages.served_tensors import TensorField, read_served_tensors
from gnomon.runtime.raw_models.raw_model import derive_model, write_raw_model
from gnomon.runtime.raw_tensors import ELEMENT_TYPES
from gnomon.runtime.recording.sink import MemorySink
from gnomon.runtime.routing.routes import single
from gnomon.runtime.runtime import Runtime

Value = tuple[str, int, list[Any] | None]


def onnx_model(
    nodes: list[Any], inputs: list[Value], outputs: list[Value], constants: Any = ()
) -> bytes:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(*one) for one in inputs],
        [helper.make_tensor_value_info(*one) for one in outputs],
        [numpy_helper.from_array(array, name) for name, array in constants],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    data: bytes = made.SerializeToString()
    return data


@contextmanager
def serving(folder: Path, content: bytes) -> Iterator[Runtime]:
    path = folder / "model.onnx"
    path.write_bytes(content)
    runtime = Runtime(MemorySink())
    try:
        package = write_raw_model(path, folder / "package", "m", "1")
        runtime.load(package)
        runtime.apply([single("m", package.digest)])
        yield runtime
    finally:
        runtime.close()


def identity(kind: int, shape: list[Any]) -> bytes:
    return onnx_model(
        [helper.make_node("Identity", ["x"], ["y"])], [("x", kind, shape)], [("y", kind, shape)]
    )


TYPES = {
    "UINT8": TensorProto.UINT8,
    "UINT64": TensorProto.UINT64,
    "INT16": TensorProto.INT16,
    "INT64": TensorProto.INT64,
    "FP16": TensorProto.FLOAT16,
    "FP32": TensorProto.FLOAT,
    "FP64": TensorProto.DOUBLE,
    "BOOL": TensorProto.BOOL,
    "BYTES": TensorProto.STRING,
}


def example(datatype: str, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    if datatype == "BYTES":
        texts = np.array([f"ü{n}" for n in range(int(np.prod(shape)))], object)
        return texts.reshape(shape)
    kind = np.dtype(ELEMENT_TYPES[datatype])
    values = np.arange(int(np.prod(shape))).astype(kind)
    if kind.kind in "iu":
        values[-1:] = np.iinfo(kind).max
    return values.reshape(shape)


@pytest.mark.parametrize("datatype", TYPES)
@pytest.mark.parametrize("shape", [["N", 2, 3], [4, 2, 3], [1, 2, 3], []])
def test_tensors_of_any_type_come_back_bit_for_bit(
    tmp_path: Path, datatype: str, shape: list[Any]
) -> None:
    has_rows = bool(shape) and shape[0] in ("N", 1)
    tail = tuple(shape[1:] if has_rows else shape)
    with serving(tmp_path, identity(TYPES[datatype], shape)) as runtime:
        (model,) = runtime.models.values()
        assert model.package.manifest.signature.inputs[0].shape == (-1, *tail)
        many = np.stack([example(datatype, tail)] * 3)
        answers = runtime.predict_columns("m", {"x": many})
        found = answers.outputs["y"]
        assert (found.shape, found.dtype) == (many.shape, many.dtype)
        assert found.tolist() == many.tolist()
        one = runtime.predict("m", {"x": many.tolist()[0]})
        assert one.outputs["y"] == many.tolist()[0]
        for wrong in (many[0], np.zeros((3, 9, *tail)), [{}], 1j):
            with pytest.raises(InvalidInput):
                runtime.predict_columns("m", {"x": wrong})
        with pytest.raises(InvalidInput):
            runtime.predict("m", {"z": 1})


def test_scalars_and_several_inputs_are_one_call(tmp_path: Path) -> None:
    content = onnx_model(
        [helper.make_node("Mul", ["x", "by"], ["y"])],
        [("x", TensorProto.FLOAT, [2, 3]), ("by", TensorProto.FLOAT, [])],
        [("y", TensorProto.FLOAT, None)],
    )
    with serving(tmp_path, content) as runtime:
        answer = runtime.predict("m", {"x": [[1.0, 2, 3], [4, 5, 6]], "by": 2})
        assert answer.outputs["y"] == [[2, 4, 6], [8, 10, 12]]
        assert runtime.predict("m", {"x": np.ones((2, 3)), "by": 0.5}).outputs["y"][0] == [0.5] * 3


def test_texts_of_columns_go_through_an_encoder(tmp_path: Path) -> None:
    """As exports of scikit-learn's encoders: a tensor of texts a column, and one of numbers."""
    label = helper.make_node(
        "LabelEncoder",
        ["carrier"],
        ["code"],
        domain="ai.onnx.ml",
        keys_strings=["AA", "UA"],
        values_floats=[1.0, 2.0],
        default_float=-1.0,
    )
    graph = helper.make_graph(
        [label, helper.make_node("Add", ["code", "wind"], ["y"])],
        "g",
        [
            helper.make_tensor_value_info("carrier", TensorProto.STRING, [None, 1]),
            helper.make_tensor_value_info("wind", TensorProto.FLOAT, [None, 1]),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1])],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 2)]
    content = helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
    with serving(tmp_path, content) as runtime:
        assert runtime.predict("m", {"carrier": "UA", "wind": 0.5}).outputs == {"y": [2.5]}
        columns = {"carrier": np.array(["AA", "ZZ"], object), "wind": np.array([1.0, 2.0])}
        assert runtime.predict_columns("m", columns).outputs["y"].tolist() == [[2.0], [1.0]]
        with pytest.raises(InvalidInput, match="'carrier' is of float64; right would be BYTES"):
            runtime.predict_columns("m", {**columns, "carrier": np.zeros(2)})


def test_a_model_that_mixes_rows_runs_them_one_by_one(tmp_path: Path) -> None:
    content = onnx_model(
        [
            helper.make_node("ReduceMax", ["x"], ["m"], axes=[0], keepdims=1),
            helper.make_node("Sub", ["x", "m"], ["y"]),
        ],
        [("x", TensorProto.FLOAT, ["N", 2, 2])],
        [("y", TensorProto.FLOAT, ["N", 2, 2])],
    )
    with serving(tmp_path, content) as runtime:
        rows = np.arange(12, dtype=np.float32).reshape(3, 2, 2)
        assert not runtime.predict_columns("m", {"x": rows}).outputs["y"].any()


def test_a_first_axis_of_one_need_not_be_that_of_rows(tmp_path: Path) -> None:
    """As boxes that a detector finds: with zeros there are none."""
    content = onnx_model(
        [
            helper.make_node("Squeeze", ["x"], ["flat"]),
            helper.make_node("NonZero", ["flat"], ["at"]),
            helper.make_node("Transpose", ["at"], ["y"], perm=[1, 0]),
        ],
        [("x", TensorProto.FLOAT, [1, 1, 3])],
        [("y", TensorProto.INT64, [1, 1])],
    )
    with serving(tmp_path, content) as runtime:
        found = [
            runtime.predict("m", {"x": [[row]]}).outputs["y"] for row in ([0, 0, 0], [1, 0, 1])
        ]
    assert found == [[], [[0], [2]]]


@pytest.mark.parametrize("shape", [[1, 1 << 20, 1 << 20], [1 << 30], ["N", 1 << 24, 4]])
def test_what_a_file_says_of_its_shapes_costs_no_memory(shape: list[Any]) -> None:
    found = derive_model("onnx", identity(TensorProto.FLOAT, shape), "large.onnx")
    assert found.rows == ()
    assert found.served is not None
    assert found.served.first_axis in ("one_row", "none")


@pytest.mark.parametrize(
    ("inputs", "outputs", "said"),
    [
        ([], [("y", TensorProto.FLOAT, [1])], "takes no input"),
        ([("x", TensorProto.BFLOAT16, [2, 3, 4])], [], r"input 'x' is tensor\(bfloat16\)"),
        ([("x", TensorProto.FLOAT, [1 << 40])], [], r"m\.onnx: a shape should be at most"),
        ([("x", TensorProto.FLOAT, [2] * 8)], [], r"m\.onnx: a shape should be at most"),
    ],
)
def test_what_cannot_be_served_is_refused_by_name(
    inputs: list[Value], outputs: list[Value], said: str
) -> None:
    nodes = [helper.make_node("Constant", [], ["y"], value_floats=[1.0])]
    if inputs:
        outputs = [("y", inputs[0][1], inputs[0][2])]
        nodes = [helper.make_node("Identity", ["x"], ["y"])]
    with pytest.raises(GnomonError, match=said):
        derive_model("onnx", onnx_model(nodes, inputs, outputs), "m.onnx")


def contract(datatype: str, shape: tuple[int, ...]) -> TensorContract:
    field = Field(name="x", kind=Kind.FLOAT64, nullable=True)
    return TensorContract(
        [field], [TensorField(name="x", tensor="t", datatype=datatype, shape=shape)]
    )


@pytest.mark.parametrize("datatype", ["INT8", "UINT8", "INT64", "UINT64"])
@given(st.integers(-(2**70), 2**70), st.sampled_from([int, float]))
def test_a_whole_number_is_kept_or_refused(datatype: str, number: int, kind: type) -> None:
    taken = contract(datatype, (2,))
    limits = np.iinfo(ELEMENT_TYPES[datatype])
    value = kind(number)
    if limits.min <= value <= limits.max:
        found = taken.read_row({"x": [value, 0]})["t"]
        assert [int(one) for one in found[0]] == [int(value), 0]
        return
    with pytest.raises((ContractError, ArithmeticError)):
        taken.read_row({"x": [value, 0]})


@given(
    arrays.arrays(st.sampled_from([np.int64, np.uint64, np.float64, np.float32]), 3),
    st.sampled_from(["INT8", "INT32", "INT64", "UINT64"]),
)
def test_no_array_is_cut_off(array: np.ndarray[Any, Any], datatype: str) -> None:
    try:
        found = contract(datatype, ()).read_columns({"x": array})["t"]
    except ContractError:
        return
    assert [int(one) for one in found] == [int(one) for one in array]
    assert all(one == int(one) for one in array)


def test_floats_beyond_the_range_are_refused() -> None:
    with pytest.raises(ContractError, match="FP32 cannot hold"):
        contract("FP32", ()).read_columns({"x": np.array([1e300])})
    for whole in ([2**53 + 1], np.array([2**53 + 1])):
        with pytest.raises(ContractError):
            contract("FP64", ()).read_columns({"x": whole})
    large = {"x": [2**60, 1e300, float("inf"), None]}
    assert contract("FP64", ()).read_columns(large)["t"][:3].tolist() == large["x"][:3]
    with pytest.raises(ContractError):
        contract("FP64", ()).read_columns({"x": np.array([True])})
    with pytest.raises(ContractError):
        contract("BOOL", ()).read_columns({"x": np.array([1.0])})


def test_what_is_counted_is_a_finite_mean_or_missing() -> None:
    found = means_of(np.array([[1.0, 2], [np.inf, 1], [np.nan, 0], [-np.inf, np.inf]]))
    assert np.array_equal(found, [1.5, np.nan, np.nan, np.nan], equal_nan=True)
    assert means_of(np.array([["a", "abc"]], object)).tolist() == [2.0]
    assert np.isnan(means_of(np.zeros((2, 0, 3)))).all()
    big = np.array([[2**63 - 1] * 2], np.int64)
    assert means_of(big).tolist() == [float(2**63)]


@pytest.mark.parametrize(
    "change",
    [
        {"first_axis": "columns"},
        {"served_tensors": [{"name": "x", "tensor": "x", "datatype": "BF16", "shape": []}]},
        {"served_tensors": [{"name": "x", "tensor": "x", "datatype": "FP32", "shape": [-2]}]},
        {"tensors": []},
    ],
)
def test_a_packing_that_is_not_valid_is_refused(change: dict[str, Any]) -> None:
    good = {
        "served_tensors": [{"name": "x", "tensor": "x", "datatype": "FP32", "shape": [2]}],
        "first_axis": "rows",
    }
    assert read_served_tensors(good) is not None
    with pytest.raises(PackageError, match="packing"):
        read_served_tensors(good | change)


@pytest.mark.parametrize("rows", [1, 3])
def test_an_answer_that_breaks_its_contract_is_none(tmp_path: Path, rows: int) -> None:
    with serving(tmp_path, identity(TensorProto.FLOAT, ["N", 2, 2])) as runtime:
        (model,) = runtime.models.values()
        (field,) = model.outputs.fields
        model.outputs = Contract((replace(field, maximum=1.0),))
        good, bad = np.ones((rows, 2, 2), np.float32), np.full((rows, 2, 2), 9.0, np.float32)
        assert runtime.predict_columns("m", {"x": good}).rows == rows
        assert runtime.predict("m", {"x": good[0]}).outputs
        with pytest.raises(InvalidOutput, match="maximum"):
            runtime.predict_columns("m", {"x": bad})
        with pytest.raises(InvalidOutput, match="maximum"):
            runtime.predict("m", {"x": bad[0]})
