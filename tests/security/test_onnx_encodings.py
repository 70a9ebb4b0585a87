"""Bytes that ONNX Runtime reads as a tensor outside of the file are refused however they are put.

Protobuf may say one message in many ways: with longer numbers than needed, in parts that are merged
or between fields that no reader knows.
"""

import pytest
from onnx import TensorProto, helper

from gnomon.runtime.engines.onnx_file import check_self_contained
from gnomon.runtime.errors import EngineError

_LOCATION, _EXTERNAL_DATA, _GRAPH, _INITIALIZER = 14, 13, 7, 5
#: Tags of a group of a field that ONNX has not: its start and its end.
_GROUP = (100 << 3 | 3, 100 << 3 | 4)


def number(value: int, longer: int = 0) -> bytes:
    """Return a varint, with so many bytes more than it needs."""
    data = bytearray()
    while value >= 128:
        data.append(value & 127 | 128)
        value >>= 7
    data.append(value)
    for _ in range(longer):
        data[-1] |= 128
        data.append(0)
    return bytes(data)


def field(tag: int, data: bytes, longer: int = 0) -> bytes:
    return number(tag << 3 | 2, longer) + number(len(data)) + data


def evil(longer: int = 0, more: int = 0) -> bytes:
    """Return a tensor in another file; `longer` for its tags, `more` for its place."""
    inside = TensorProto(name="stolen", data_type=TensorProto.UINT8, dims=[4]).SerializeToString()
    entry = field(1, b"location") + field(2, b"key.pem")
    place = number(_LOCATION << 3, longer) + number(TensorProto.EXTERNAL + more)
    return inside + field(_EXTERNAL_DATA, entry, longer) + place


def model(tensor: bytes) -> bytes:
    """Return a model whose graph comes in two parts, the second with the tensor."""
    graph = helper.make_graph(
        [helper.make_node("Cast", ["stolen"], ["y"], to=TensorProto.FLOAT)],
        "evil",
        [],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [4])],
    )
    rest = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return rest.SerializeToString() + field(_GRAPH, field(_INITIALIZER, tensor))


EVIL = {
    "in two parts": model(evil()),
    "longer tags": model(evil(longer=3)),
    "tags that are too long": model(evil(longer=8)),
    "a place above 32 bits": model(evil(more=1 << 32)),
    "behind a group": number(_GROUP[0]) + number(_GROUP[1]) + model(evil()),
    "a copy in a group": number(_GROUP[0]) + model(evil()) + number(_GROUP[1]) + model(evil()),
    "tags above 32 bits": model(
        evil().replace(number(_LOCATION << 3), number(1 << 32 | _LOCATION << 3))
    ),
}


@pytest.mark.parametrize("kind", EVIL)
def test_no_encoding_hides_data_outside_of_the_file(kind: str) -> None:
    with pytest.raises(EngineError, match=r"keeps its data in another file|is not an ONNX model"):
        check_self_contained(EVIL[kind], "m@1")
