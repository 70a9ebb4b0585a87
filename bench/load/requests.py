"""Requests of the Open Inference Protocol, as bytes, and the outputs that answers have."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gnomon.bench.load.model_client import ServedModel, ServedTensor
from gnomon.bench.load.rows import Row
from gnomon.bench.load.target import LoadTarget, Protocol
from gnomon.proto import inference_pb2 as oip
from gnomon.runtime import raw_tensors
from gnomon.runtime.errors import ConfigurationError

__all__ = ["encode_request", "headers_of", "outputs_of", "wire_answer", "wire_request"]

_CONTENTS = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


def encode_request(target: LoadTarget, model: ServedModel, row: Row, number: int) -> bytes:
    """Return a request for one row: a message of gRPC with raw contents, or a JSON document.

    Args:
        target: that it is for.
        model: whose tensors are named.
        row: values by input.
        number: of the row, which becomes the request's id: answers to a row are then equal.

    Raises:
        ConfigurationError: the row does not fit the model's tensors.
    """
    tensors = [(one, _values(one, row)) for one in model.inputs if one.name in row]
    others = row.keys() - {one.name for one in model.inputs}
    if others:
        raise ConfigurationError(
            f"the model {model.name!r} has no inputs {sorted(others)}; it has "
            f"{[one.name for one in model.inputs]}"
        )
    request_id = f"row-{number}"
    if not target.is_grpc:
        inputs = [
            {"name": one.name, "datatype": one.datatype, "shape": _shape(one), "data": values}
            for one, values in tensors
        ]
        return json.dumps({"id": request_id, "inputs": inputs}).encode()
    message = oip.ModelInferRequest(model_name=model.name, id=request_id)
    for one, values in tensors:
        message.inputs.add(name=one.name, datatype=one.datatype, shape=_shape(one))
        message.raw_input_contents.append(_raw(one, values))
    encoded: bytes = message.SerializeToString()
    return encoded


def _shape(tensor: ServedTensor) -> list[int]:
    return [max(size, 1) for size in tensor.shape] or [1]


def _values(tensor: ServedTensor, row: Row) -> list[Any]:
    given = row[tensor.name]
    values = np.asarray(given, dtype=object).ravel().tolist()
    expected = int(np.prod(_shape(tensor)))
    if len(values) != expected:
        raise ConfigurationError(
            f"the input {tensor.name!r} of shape {list(tensor.shape)} takes {expected} values a "
            f"row, not {len(values)}"
        )
    return values


def _raw(tensor: ServedTensor, values: Sequence[Any]) -> bytes:
    try:
        if tensor.datatype == "BYTES":
            return raw_tensors.pack("BYTES", np.array([*map(str, values), None], object)[:-1])
        if tensor.datatype == "BF16":
            return (np.array(values, "<f4").view("<u4") >> 16).astype("<u2").tobytes()
        return raw_tensors.pack(tensor.datatype, np.array(values))
    except (KeyError, ValueError, TypeError, OverflowError) as error:
        raise ConfigurationError(
            f"the input {tensor.name!r} does not take {values[:3]} as {tensor.datatype}: {error}"
        ) from error


def headers_of(target: LoadTarget, model: str) -> list[tuple[bytes, bytes]]:
    """Return the headers of HTTP/2; those of HTTP/1 are part of each request."""
    if target.protocol is Protocol.HTTP1:
        return []
    path = f"/v2/models/{model}/infer"
    kind = [(b"content-type", b"application/json")]
    if target.is_grpc:
        path = "/inference.GRPCInferenceService/ModelInfer"
        kind = [(b"content-type", b"application/grpc"), (b"te", b"trailers")]
    return [
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", path.encode()),
        (b":authority", target.address.encode()),
        *kind,
    ]


def wire_request(target: LoadTarget, model: str, request: bytes) -> bytes:
    """Return a request as the generator sends it: gRPC's prefix, or HTTP/1's head, before it."""
    if target.is_grpc:
        return wire_answer(target, request)
    if target.protocol is Protocol.HTTP2:
        return request
    head = (
        f"POST /v2/models/{model}/infer HTTP/1.1\r\nhost: {target.address}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(request)}\r\n\r\n"
    )
    return head.encode() + request


def wire_answer(target: LoadTarget, answer: bytes) -> bytes:
    """Return an answer as the generator receives it: of gRPC with its prefix."""
    prefix = b"\0" + len(answer).to_bytes(4, "big")
    return prefix + answer if target.is_grpc else answer


def outputs_of(target: LoadTarget, answer: bytes) -> Mapping[str, list[Any]]:
    """Return the values of each output of an answer (of gRPC without its prefix).

    Raises:
        ValueError: it is no answer of the protocol.
    """
    try:
        if target.is_grpc:
            return _outputs_of_message(answer)
        found = json.loads(answer)
        return {one["name"]: np.ravel(one["data"]).tolist() for one in found["outputs"]}
    except Exception as error:
        raise ValueError(f"it is no answer of the protocol: {error}") from error


def _outputs_of_message(answer: bytes) -> Mapping[str, list[Any]]:
    message = oip.ModelInferResponse.FromString(answer)
    found = {}
    for number, one in enumerate(message.outputs):
        if message.raw_output_contents:
            raw = message.raw_output_contents[number]
            found[one.name] = raw_tensors.unpack(one.datatype, raw).tolist()
        else:
            values = list(getattr(one.contents, _CONTENTS[one.datatype]))
            is_text = one.datatype == "BYTES"
            found[one.name] = [value.decode() for value in values] if is_text else values
    return found
