"""ONNX files that keep data elsewhere are found wherever the tensor is, as by onnx's own parser."""

from collections.abc import Callable, Iterator
from time import process_time
from typing import Any

import numpy as np
import onnx
import pytest
from google.protobuf.message import DecodeError, Message
from hypothesis import example, given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from gnomon.runtime.engines import load_engine
from gnomon.runtime.engines.onnx import NativeOnnxEngine, PythonOnnxEngine
from gnomon.runtime.engines.onnx_file import check_self_contained
from gnomon.runtime.errors import EngineError
from gnomon.runtime.packages.manifest import Manifest
from gnomon.runtime.packages.package import Package


def tensor(name: str = "weights", location: str | None = "key.pem") -> TensorProto:
    made = numpy_helper.from_array(np.zeros(4, np.float32), name)
    if location is not None:
        made.ClearField("raw_data")
        made.data_location = TensorProto.EXTERNAL
        made.external_data.add(key="location", value=location)
    return made


def sparse(values: TensorProto, indices: TensorProto) -> onnx.SparseTensorProto:
    return onnx.SparseTensorProto(values=values, indices=indices, dims=[4])


def node(**attributes: Any) -> onnx.NodeProto:
    return helper.make_node("Anything", [], ["y"], **attributes)


def graph(*nodes: onnx.NodeProto, **more: Any) -> onnx.GraphProto:
    return onnx.GraphProto(name="g", node=nodes, **more)


def model(top: onnx.GraphProto | None = None, **more: Any) -> onnx.ModelProto:
    return onnx.ModelProto(ir_version=9, graph=top or graph(), **more)


def function(*nodes: onnx.NodeProto) -> onnx.FunctionProto:
    return onnx.FunctionProto(name="f", node=nodes)


def default(**attribute: Any) -> onnx.FunctionProto:
    (made,) = node(**attribute).attribute
    return onnx.FunctionProto(name="f", attribute_proto=[made])


def location_only() -> TensorProto:
    made = tensor()
    made.ClearField("external_data")
    return made


def entries_only() -> TensorProto:
    made = tensor()
    made.ClearField("data_location")
    return made


INSIDE = tensor("inside", None)
PLACES: dict[str, Callable[[TensorProto], onnx.ModelProto]] = {
    "initializer": lambda one: model(graph(initializer=[INSIDE, one])),
    "attribute": lambda one: model(graph(node(value=one))),
    "attributes": lambda one: model(graph(node(values=[INSIDE, one]))),
    "sparse values": lambda one: model(graph(sparse_initializer=[sparse(one, INSIDE)])),
    "sparse indices": lambda one: model(graph(sparse_initializer=[sparse(INSIDE, one)])),
    "sparse attribute": lambda one: model(graph(node(value=sparse(INSIDE, one)))),
    "sparse attributes": lambda one: model(graph(node(values=[sparse(one, INSIDE)]))),
    "branch": lambda one: model(graph(node(then_branch=graph(node(value=one))))),
    "branches": lambda one: model(graph(node(branches=[graph(), graph(initializer=[one])]))),
    "function": lambda one: model(functions=[function(node(value=one))]),
    "body in function": lambda one: model(
        functions=[function(node(body=graph(node(body=graph(initializer=[one])))))]
    ),
    "default of function": lambda one: model(functions=[default(value=one)]),
    "training": lambda one: model(
        training_info=[onnx.TrainingInfoProto(algorithm=graph(initializer=[one]))]
    ),
    "start of training": lambda one: model(
        training_info=[onnx.TrainingInfoProto(initialization=graph(node(value=one)))]
    ),
}


@pytest.mark.parametrize("place", PLACES)
def test_data_outside_of_the_file_are_refused_wherever_the_tensor_is(place: str) -> None:
    check_self_contained(PLACES[place](INSIDE).SerializeToString(), "m@1")
    for outside in (tensor(), location_only(), entries_only()):
        with pytest.raises(EngineError, match=r"m@1: the tensor 'weights' keeps its data in anoth"):
            check_self_contained(PLACES[place](outside).SerializeToString(), "m@1")


def test_no_engine_loads_such_a_file(package: Package) -> None:
    file = PLACES["initializer"](tensor()).SerializeToString()
    manifest: Manifest = package.manifest
    for load in (NativeOnnxEngine, PythonOnnxEngine, lambda *one: load_engine("onnx", *one)):
        with pytest.raises(EngineError, match="eta@1: the tensor 'weights' keeps its data"):
            load(file, manifest)


def test_a_file_of_another_format_is_not_read_as_one(package: Package) -> None:
    with pytest.raises(EngineError, match="eta@1: the file is not an ONNX model"):
        load_engine("onnx", b"\x18\x00\x00\x00ORTM" + bytes(100), package.manifest)


def test_nesting_beyond_the_limit_of_protobuf_is_refused() -> None:
    file = b""
    for _ in range(2_000):
        # The attribute of a node of a graph.
        file = long(1, long(5, long(6, file)))
    with pytest.raises(EngineError, match="nested more than 100 deep at byte"):
        check_self_contained(long(7, file), "m@1")


def long(key: int, content: bytes) -> bytes:
    return field(key, 2, content, 0)


@pytest.mark.slow
def test_it_takes_time_by_the_size_of_the_file_and_skips_raw_data() -> None:
    large = numpy_helper.from_array(np.zeros(50_000_000, np.float32), "large")
    file = model(graph(initializer=[large])).SerializeToString()
    started = process_time()
    check_self_contained(file, "m@1")
    assert process_time() - started < 0.01
    many = model(graph(node(numbers=[1] * 2_000_000))).SerializeToString()
    started = process_time()
    check_self_contained(many, "m@1")
    assert process_time() - started < 0.5


def has_data_outside(message: Message) -> bool:
    """Look at every tensor of a message that protobuf has parsed."""
    if isinstance(message, TensorProto):
        return bool(message.external_data) or message.data_location != TensorProto.DEFAULT
    return any(map(has_data_outside, parts(message)))


def parts(message: Message) -> Iterator[Message]:
    for field, value in message.ListFields():
        if field.message_type is not None:
            yield from value if field.is_repeated else [value]


def number(value: int, padding: int = 0) -> bytes:
    """Return a varint, with bytes of zero at its upper end."""
    digits = []
    while value > 0x7F or padding:
        digits.append(value & 0x7F | 0x80)
        padding -= value <= 0x7F
        value >>= 7
    return bytes([*digits, value])


def field(key: int, wire_type: int, content: bytes, padding: int) -> bytes:
    head = number(key << 3 | wire_type, padding)
    return head + number(len(content)) + content if wire_type == 2 else head + content


def fields(content: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Return messages of any fields, most of them such as ONNX has."""
    keys = st.one_of(
        st.sampled_from([1, 2, 5, 6, 7, 8, 10, 11, 13, 14, 15, 20, 22, 23, 25]),
        st.integers(0, 1 << 33),
    )
    scalar = st.one_of(
        st.builds(lambda key, value: field(key, 0, number(value), 0), keys, st.integers(0, 3)),
        st.builds(lambda key: field(key, 1, bytes(8), 0), keys),
        st.builds(lambda key: field(key, 5, bytes(4), 0), keys),
    )
    nested = st.builds(field, keys, st.just(2), content, st.sampled_from([0, 0, 0, 1, 3]))
    return st.lists(st.one_of(nested, nested, scalar), max_size=4).map(b"".join)


MESSAGES = st.recursive(st.binary(max_size=4), fields, max_leaves=12)
REAL = st.builds(
    lambda place, outside: PLACES[place](tensor() if outside else INSIDE).SerializeToString(),
    st.sampled_from([*PLACES]),
    st.booleans(),
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Return a real file, or two after another, of which some bytes are others, or are gone."""
    content = bytearray(draw(REAL) + draw(st.one_of(st.just(b""), REAL)))
    for _ in range(draw(st.integers(0, 3))):
        content[draw(st.integers(0, len(content) - 1))] = draw(st.integers(0, 255))
    return bytes(content[: draw(st.one_of(st.none(), st.integers(1, len(content))))])


@given(file=st.one_of(MESSAGES, mutated(), st.binary()))
@example(file=b"")
@example(file=number((7 << 3 | 2) + (1 << 32)) + b"\x00")
@example(file=number(7 << 3 | 2) + number((1 << 64) - 1))
def test_what_passes_has_no_data_outside_by_the_parser_of_onnx(file: bytes) -> None:
    try:
        check_self_contained(file, "m@1")
    except EngineError:
        return
    try:
        parsed = onnx.ModelProto.FromString(file)
    except DecodeError:
        return
    assert not has_data_outside(parsed)


@given(file=REAL)
def test_what_is_in_one_file_passes(file: bytes) -> None:
    if not has_data_outside(onnx.ModelProto.FromString(file)):
        check_self_contained(file, "m@1")
