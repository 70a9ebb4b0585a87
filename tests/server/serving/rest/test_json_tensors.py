"""REST bodies: whatever is sent becomes a request or a typed refusal, and good ones come back."""

import contextlib
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.proto import inference_pb2 as oip
from gnomon.runtime.errors import InvalidInput
from gnomon.runtime.raw_tensors import ELEMENT_TYPES, pack, unpack
from gnomon.server.serving.rest.json_tensors import RestRequest, read_request, write_response
from gnomon.server.serving.tensors import decode_inputs

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=200), length=st.none() | st.text(max_size=6))
def test_bytes_never_surprise(data: bytes, length: str | None) -> None:
    with contextlib.suppress(InvalidInput):
        read_request("m", "", data, length)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(
    datatype=st.sampled_from([*ELEMENT_TYPES, "BYTES", "FP65", ""]),
    shape=st.lists(st.integers(-2, 5) | st.integers(), max_size=4),
    data=JSON,
    parameters=st.dictionaries(
        st.sampled_from(["binary_data_size", "x"]), st.integers() | st.booleans() | st.text()
    ),
    tail=st.binary(max_size=20),
)
def test_tensors_never_surprise(
    datatype: str, shape: list[int], data: Any, parameters: dict[str, Any], tail: bytes
) -> None:
    tensor = {
        "name": "x",
        "datatype": datatype,
        "shape": shape,
        "data": data,
        "parameters": parameters,
    }
    body = json.dumps({"inputs": [tensor], "parameters": parameters}).encode()
    try:
        columns = decode_inputs(read_request("m", "", body + tail, str(len(body))).message)
    except InvalidInput:
        return
    assert len(columns["x"]) == shape[0]


@settings(max_examples=100, deadline=None)
@given(datatype=st.sampled_from([*ELEMENT_TYPES, "BYTES"]), rows=st.integers(0, 6), draw=st.data())
def test_json_and_binary_say_the_same(datatype: str, rows: int, draw: st.DataObject) -> None:
    if datatype == "BYTES":
        texts = st.lists(st.text(max_size=8), min_size=rows, max_size=rows)
        values: Any = np.array([*draw.draw(texts), None], object)[:-1]
    else:
        kind = np.dtype(ELEMENT_TYPES[datatype])
        raw = draw.draw(st.binary(min_size=rows * 8, max_size=rows * 8))
        values = np.frombuffer(raw, np.uint8)[: rows * kind.itemsize]
        values = (values % 2).astype(bool)[:rows] if kind.kind == "b" else values.view(kind)
        if kind.kind == "f":
            values = np.where(np.isfinite(values), values, 0).astype(kind)
    packed = pack(datatype, values)
    tensor = {"name": "x", "datatype": datatype, "shape": [rows]}
    as_json = json.dumps({"inputs": [tensor | {"data": values.tolist()}]}).encode()
    sized = tensor | {"parameters": {"binary_data_size": len(packed)}}
    as_binary = json.dumps({"inputs": [sized]}).encode()
    one = read_request("m", "", as_json, None).message
    two = read_request("m", "", as_binary + packed, str(len(as_binary))).message
    assert one.raw_input_contents == two.raw_input_contents == [packed]
    assert unpack(datatype, packed).tolist() == values.tolist()


@pytest.mark.parametrize("is_binary", [True, False])
def test_answers_are_written_as_they_are_wanted(is_binary: bool) -> None:
    response = oip.ModelInferResponse(model_name="m", model_version="1", id="q")
    response.outputs.add(name="y", datatype="FP32", shape=[3])
    response.raw_output_contents.append(np.array([1, np.nan, 2], "<f4").tobytes())
    response.outputs.add(name="z", datatype="BYTES", shape=[1])
    response.raw_output_contents.append(pack("BYTES", np.array(["ä"], object)))
    request = RestRequest(oip.ModelInferRequest(), {"z": False}, is_binary)
    body, length = write_response(request, response)
    document = json.loads(body[:length])
    first, second = document["outputs"]
    assert second == {"name": "z", "datatype": "BYTES", "shape": [1], "data": ["ä"]}
    if is_binary:
        assert first["parameters"] == {"binary_data_size": 12}
        assert body[length:] == response.raw_output_contents[0]
    else:
        assert length is None
        assert first["data"] == [1.0, None, 2.0]
