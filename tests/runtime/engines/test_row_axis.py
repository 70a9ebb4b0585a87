"""Rows are the first axis of every output: a model that puts them elsewhere is refused."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from gnomon.core.fields import Field, Kind
from gnomon.core.profiling import build_reference
from gnomon.core.reference import FieldReference, Reference
from gnomon.pipeline.formats.importing import Source, import_model
from gnomon.runtime.engines.row_axis import check_rows
from gnomon.runtime.errors import EngineError
from gnomon.runtime.models.model import Model
from gnomon.runtime.models.outputs import OutputReader
from gnomon.runtime.packages.golden import Golden, encode_golden
from gnomon.runtime.packages.manifest import Signature, TensorSpec
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.profile import Profile, encode_profile
from gnomon.runtime.raw_models.raw_model import derive_model
from gnomon.runtime.recording.sink import MemorySink
from gnomon.runtime.routing.routes import Route, Target
from gnomon.runtime.runtime import Runtime

Write = Callable[..., Package]
COLUMNS = {"x_0": [1.0, 2.0, 3.0], "x_1": [0.5, -1.0, 4.0]}
#: Five numbers a row: 10·x_0 + x_1 and so on.
WEIGHTS = np.array([[10, 1, 0, 2, 3], [1, 2, 3, 4, 5]], np.float32)


def make_onnx(nodes: list[NodeProto], shape: list[Any] | None, width: int = 2) -> bytes:
    """Return a model from `x` (N, `width`) to `y`, whose declared shape is `shape`."""
    graph = helper.make_graph(
        nodes,
        "model",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", width])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [
            numpy_helper.from_array(WEIGHTS[:width], "weights"),
            numpy_helper.from_array(np.array([2], np.int64), "two"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return model.SerializeToString()


def product(output: str = "y") -> NodeProto:
    return helper.make_node("MatMul", ["x", "weights"], [output])


def transposed_onnx() -> bytes:
    """Return a model whose output is (5, N): its rows are the second axis."""
    nodes = [product("z"), helper.make_node("Transpose", ["z"], ["y"], perm=[1, 0])]
    return make_onnx(nodes, ["five", "N"])


def centred_onnx() -> bytes:
    """Return a model that takes the mean of all rows from each."""
    nodes = [
        product("z"),
        helper.make_node("ReduceMean", ["z"], ["mean"], axes=[0], keepdims=1),
        helper.make_node("Sub", ["z", "mean"], ["y"]),
    ]
    return make_onnx(nodes, ["N", 5])


def shapeless_onnx() -> bytes:
    """Return a model whose output's rank depends on its input, by all that is declared: (N, 5)."""
    nodes = [
        product("z"),
        helper.make_node("Unsqueeze", ["z", "two"], ["cube"]),
        helper.make_node("Sub", ["x", "x"], ["zeros"]),
        helper.make_node("ReduceMax", ["zeros"], ["zero"], keepdims=0),
        helper.make_node("Cast", ["zero"], ["whole"], to=TensorProto.INT64),
        helper.make_node("Add", ["two", "whole"], ["axes"]),
        helper.make_node("Squeeze", ["cube", "axes"], ["y"]),
    ]
    return make_onnx(nodes, None)


@pytest.fixture
def write_vectors(write: Write) -> Write:
    """Write a package whose output `y` is a vector of five, without golden outputs."""

    def write_vectors(model: bytes, rows: int = 1, name: str = "eta-1") -> Package:
        inputs = tuple(Field(name=one, kind=Kind.FLOAT32) for one in COLUMNS)
        outputs = (Field(name="y", kind=Kind.VECTOR, shape=(5,)),)
        numeric = Reference(
            tuple(FieldReference(one, "numeric", edges=(0.0, 1.0)) for one in COLUMNS)
        )
        empty = build_reference(outputs, {"y": np.empty((0, 5))}, pairs="none")
        golden = [{one: COLUMNS[one][row] for one in COLUMNS} for row in range(rows)]
        files = {
            "model.onnx": model,
            "profile.json": encode_profile(Profile(inputs, (), outputs, numeric, empty)),
            "golden.json": encode_golden(Golden(rows=(*golden,), outputs=({},) * rows)),
        }
        features = [{"field": one} for one in COLUMNS]
        return write(
            name,
            files=files,
            packing={"tensors": [{"name": "x", "dtype": "FP32", "features": features}]},
            output_tensors=("y",),
            signature=Signature(
                inputs=tuple(
                    TensorSpec(name=one, datatype="FP32", shape=(-1, 1)) for one in COLUMNS
                ),
                outputs=(TensorSpec(name="y", datatype="FP32", shape=(-1, 5)),),
            ),
        )

    return write_vectors


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    runtime = Runtime(MemorySink(), checkpoint_seconds=60)
    yield runtime
    runtime.close()


SCRAMBLED = r"output 'y' has shape \(5, 1\) for 1 row.*\(1, …\).*first axis"


def test_a_bare_model_with_rows_in_another_axis_is_refused() -> None:
    with pytest.raises(EngineError, match=SCRAMBLED):
        derive_model("onnx", transposed_onnx(), "scrambled.onnx")


def test_an_import_with_rows_in_another_axis_is_refused(tmp_path: Any) -> None:
    source = Source("scrambled.onnx", "onnx", transposed_onnx())
    with pytest.raises(EngineError, match=SCRAMBLED):
        import_model(source, tmp_path / "package", "m", "1", signer=None)


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_a_package_with_rows_in_another_axis_is_not_loaded(
    runtime: Runtime, write_vectors: Write, rows: int
) -> None:
    package = write_vectors(transposed_onnx(), rows)
    with pytest.raises(EngineError, match="eta@1: " + SCRAMBLED):
        runtime.load(package)
    with pytest.raises(EngineError, match=SCRAMBLED):
        Model(package)


def test_rows_that_depend_on_their_neighbours_are_run_one_by_one(
    runtime: Runtime, write_vectors: Write
) -> None:
    package = write_vectors(centred_onnx(), 3)
    runtime.load(package)
    runtime.apply([Route("eta", (Target(package.digest, 1000),))])
    together = runtime.predict_columns("eta", COLUMNS).outputs["y"]
    for row in range(3):
        alone = runtime.predict("eta", {name: COLUMNS[name][row] for name in COLUMNS})
        np.testing.assert_allclose(together[row], alone.outputs["y"])
    np.testing.assert_array_equal(together, np.zeros((3, 5)))


def test_an_output_of_unknown_rank_is_read_by_its_real_shape(write_vectors: Write) -> None:
    model = Model(write_vectors(shapeless_onnx(), 3))
    assert model.engine.session.outputs[0][2] == ()
    expected = np.array([*COLUMNS.values()], np.float32).T @ WEIGHTS
    np.testing.assert_allclose(model.predict_columns(COLUMNS)["y"], expected, rtol=1e-6)
    row = {name: values[0] for name, values in COLUMNS.items()}
    np.testing.assert_allclose(model.predict_row(row)["y"], expected[0], rtol=1e-6)
    model.close()


class Permuted:
    """An engine whose output is (rows, 5, 3) with its axes in another order."""

    works_in_caller = False

    def __init__(self, order: tuple[int, ...]) -> None:
        self._order = order

    def run(self, tensors: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        (rows,) = tensors.values()
        cube = rows[:, :1, None] * np.arange(1.0, 16.0).reshape(1, 5, 3)
        return {"y": np.ascontiguousarray(cube.transpose(self._order))}

    def row_runner(self, packing: Any) -> None:
        return None

    def close(self) -> None:
        pass


@given(order=st.permutations([0, 1, 2]), rows=st.integers(0, 5))
def test_only_models_with_rows_first_pass(order: list[int], rows: int) -> None:
    tensors = {"x": np.arange(1.0, 1.0 + 2 * rows).reshape(rows, 2)}
    if order[0] == 0:
        assert check_rows("eta@1", Permuted(tuple(order)), tensors, ["y"])
        return
    if rows == 0:
        assert check_rows("eta@1", Permuted(tuple(order)), tensors, ["y"])
        return
    with pytest.raises(EngineError, match="eta@1: output 'y' has shape"):
        check_rows("eta@1", Permuted(tuple(order)), tensors, ["y"])


@given(
    rows=st.integers(1, 6),
    size=st.sampled_from([(), (1,), (2,), (3,), (2, 3), (6, 1)]),
    data=st.data(),
)
def test_a_reader_takes_only_shapes_that_begin_with_the_rows(
    rows: int, size: tuple[int, ...], data: st.DataObject
) -> None:
    kind = Kind.FLOAT32 if not size else Kind.VECTOR if len(size) == 1 else Kind.TENSOR
    reader = OutputReader("eta@1", [Field(name="y", kind=kind, shape=size)])
    ones = data.draw(st.sampled_from([[], [1], [1, 1]]))
    shape = data.draw(st.permutations([rows, *size, *ones]))
    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    inner = [length for length in shape[1:] if length != 1]
    if shape[0] == rows and inner == [length for length in size if length != 1]:
        (column,) = reader.read_columns([array], rows).values()
        np.testing.assert_array_equal(column, array.reshape(rows, *size))
    else:
        with pytest.raises(EngineError, match=r"output 'y' has shape .* expected"):
            reader.read_columns([array], rows)


def test_a_model_without_inputs_is_refused() -> None:
    with pytest.raises(EngineError, match="eta@1: the package names no input"):
        check_rows("eta@1", None, {}, ["score"])  # type: ignore[arg-type]
