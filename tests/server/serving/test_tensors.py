"""Tensors become columns and come back; what contradicts itself is refused by name."""

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from gnomon.proto import inference_pb2 as oip
from gnomon.runtime.errors import InvalidInput, InvalidOutput
from gnomon.runtime.packages.manifest import TensorSpec
from gnomon.server.serving.tensors import decode_inputs, encode_outputs

KINDS = {
    "BOOL": np.bool_,
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "FP16": np.float16,
    "FP32": np.float32,
    "FP64": np.float64,
}


def turned(response: oip.ModelInferResponse) -> oip.ModelInferRequest:
    """Make a request of a response: both carry tensors in the same way."""
    request = oip.ModelInferRequest(raw_input_contents=response.raw_output_contents)
    for output in response.outputs:
        tensor = request.inputs.add()
        tensor.ParseFromString(output.SerializeToString())
    return request


@given(
    data=st.data(),
    datatype=st.sampled_from(sorted(KINDS)),
    rows=st.integers(0, 5),
    shape=st.sampled_from([(), (1,), (3,), (2, 2)]),
    raw=st.booleans(),
)
def test_numbers_survive_the_wire_bit_for_bit(
    data: Any, datatype: str, rows: int, shape: tuple[int, ...], raw: bool
) -> None:
    raw = raw or datatype == "FP16"
    values = data.draw(arrays.arrays(KINDS[datatype], (rows, *shape)))
    response = oip.ModelInferResponse()
    spec = TensorSpec(name="x", datatype=datatype, shape=(-1, *shape))
    encode_outputs([spec], {"x": values}, response, raw=raw)
    decoded = decode_inputs(turned(response))["x"]
    expected = values[:, 0] if shape == (1,) else values
    assert decoded.dtype == values.dtype
    assert len(decoded) == rows
    assert decoded.tobytes() == expected.tobytes()


@given(texts=st.lists(st.text()), raw=st.booleans())
def test_texts_survive_the_wire(texts: list[str], raw: bool) -> None:
    values = np.array([*texts, ""], object)[: len(texts)]
    response = oip.ModelInferResponse()
    spec = TensorSpec(name="x", datatype="BYTES", shape=(-1, 1))
    encode_outputs([spec], {"x": values}, response, raw=raw)
    if texts or not raw:
        assert decode_inputs(turned(response))["x"].tolist() == texts


def refused(tensor: dict[str, Any], raw: bytes | None = None) -> InvalidInput:
    request = oip.ModelInferRequest(raw_input_contents=[] if raw is None else [raw])
    request.inputs.add(**{"name": "x", "datatype": "FP64", "shape": [1], **tensor})
    with pytest.raises(InvalidInput) as caught:
        decode_inputs(request)
    assert caught.value.details[0]["field"] == "x"
    return caught.value


CONTENTS = oip.InferTensorContents


@pytest.mark.parametrize(
    ("tensor", "raw", "rule"),
    [
        ({"shape": []}, b"", "shape"),
        ({"shape": [-1]}, b"", "shape"),
        ({"shape": [1, 0]}, b"", "shape"),
        ({"shape": [1] * 9}, b"\0" * 8, "shape"),
        ({"shape": [2**62, 2**62]}, b"\0" * 8, "bytes"),
        ({"shape": [2]}, b"\0" * 8, "bytes"),
        ({}, b"\0" * 7, "bytes"),
        ({"datatype": "FP128"}, b"\0" * 16, "datatype"),
        ({"datatype": ""}, b"", "datatype"),
        ({"datatype": "BOOL"}, b"\2", "bool"),
        ({"contents": CONTENTS(fp64_contents=[1, 2])}, None, "contents"),
        ({"contents": CONTENTS(fp32_contents=[1])}, None, "contents"),
        ({"datatype": "FP16", "contents": CONTENTS(fp32_contents=[1])}, None, "contents"),
        ({"datatype": "INT8", "contents": CONTENTS(int_contents=[128])}, None, "range"),
        ({"datatype": "BYTES"}, b"\5\0\0\0abc", "bytes"),
        ({"datatype": "BYTES"}, b"\1\0\0", "bytes"),
        ({"datatype": "BYTES"}, struct.pack("<I", 2**32 - 1), "bytes"),
        ({"datatype": "BYTES"}, b"\0\0\0\0\0\0\0\0", "contents"),
        ({"datatype": "BYTES"}, b"\1\0\0\0\xff", "text"),
        ({"datatype": "BYTES", "contents": CONTENTS(bytes_contents=[b"\xff"])}, None, "text"),
    ],
)
def test_what_contradicts_itself_is_refused(
    tensor: dict[str, Any], raw: bytes | None, rule: str
) -> None:
    error = refused(tensor, raw)
    assert error.details[0]["rule"] == rule
    assert "right would be" in str(error)


@pytest.mark.parametrize(
    ("contents", "raw"),
    [
        ({"int_contents": [5], "int64_contents": [7]}, None),
        ({"int_contents": [5], "bytes_contents": [b"7"]}, None),
        ({"int_contents": [5]}, struct.pack("<i", 7)),
    ],
)
def test_values_that_are_given_twice_are_refused(
    contents: dict[str, list[Any]], raw: bytes | None
) -> None:
    error = refused({"datatype": "INT32", "shape": [1], "contents": contents}, raw)
    assert error.details[0]["rule"] == "contents"


def test_inputs_that_do_not_belong_together_are_refused() -> None:
    request = oip.ModelInferRequest(raw_input_contents=[b"\0" * 8, b"\0" * 16])
    request.inputs.add(name="x", datatype="FP64", shape=[1])
    with pytest.raises(InvalidInput, match="2 raw_input_contents for 1 inputs"):
        decode_inputs(request)
    request.inputs.add(name="y", datatype="FP64", shape=[2])
    with pytest.raises(InvalidInput, match="number of rows"):
        decode_inputs(request)
    request.inputs[1].name = "x"
    with pytest.raises(InvalidInput, match="each input once"):
        decode_inputs(request)


@given(st.binary(max_size=300))
def test_no_bytes_end_in_another_error(data: bytes) -> None:
    request = oip.ModelInferRequest()
    try:
        request.ParseFromString(data)
        decode_inputs(request)
    except (InvalidInput, ValueError):
        pass
    except Exception as error:
        assert type(error).__name__ == "DecodeError"


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize(
    ("datatype", "values"),
    [
        ("INT64", np.array([1.0, np.nan])),
        ("INT64", np.array([2.5])),
        ("INT64", np.array([1e30])),
        ("INT64", np.array([None], object)),
        ("INT8", np.array([300])),
        ("UINT8", np.array([-1])),
        ("INT32", np.array([2**31])),
    ],
)
def test_an_output_that_its_datatype_cannot_hold_is_refused(
    datatype: str, values: Any, raw: bool
) -> None:
    spec = TensorSpec(name="x", datatype=datatype, shape=(-1, 1))
    with pytest.raises(InvalidOutput, match=f"'x' has other values than .* {datatype}"):
        encode_outputs([spec], {"x": values}, oip.ModelInferResponse(), raw=raw)


def test_an_output_of_whole_floats_fits_an_integer_datatype() -> None:
    response = oip.ModelInferResponse()
    spec = TensorSpec(name="x", datatype="INT32", shape=(-1, 1))
    encode_outputs([spec], {"x": np.array([3.0, -4.0])}, response, raw=False)
    assert list(response.outputs[0].contents.int_contents) == [3, -4]


@pytest.mark.parametrize("missing", ["[1]", "[-1]", "1", "[0.5]", "x", "", f"[{1 << 70}]"])
def test_marks_of_rows_that_are_not_there_are_refused(missing: str) -> None:
    error = refused({"parameters": {"missing": {"string_param": missing}}}, bytes(8))
    assert error.details[0]["rule"] == "missing"
    assert "from 0 to 0" in error.details[0]["expected"]
