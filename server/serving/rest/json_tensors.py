"""The Open Inference Protocol's REST bodies to the messages of the handler, and back.

A body is JSON, optionally followed by binary tensors, which have a `binary_data_size` in the JSON.
The header `Inference-Header-Content-Length` is the length of the JSON (Triton's binary tensor
extension). A value that is `null` in JSON is missing: NaN among floats, else a row that the
parameter `missing` of the tensor lists.
"""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, NoReturn

import msgspec
import numpy as np

from gnomon.proto import inference_pb2 as oip
from gnomon.runtime.decoding import UNDECODABLE, check_unique_names
from gnomon.runtime.errors import InvalidInput
from gnomon.runtime.raw_tensors import ELEMENT_TYPES, MISSING, TEXT, pack, unpack
from gnomon.server.serving.missing_rows import write_missing
from gnomon.server.serving.parameters import check_served
from gnomon.server.serving.tensors import DIMENSIONS_LIMIT

LENGTH_HEADER = "Inference-Header-Content-Length"
_BINARY = ("binary_data", "binary_data_size", "binary_data_output")
_SHAPE_LIMIT = 1 << 31

#: What stands in the contents of a row without a value; 0 among numbers.
_PLACEHOLDERS: Mapping[str, Any] = {TEXT: "", "BOOL": False}

Parameters = dict[str, bool | int | float | str]


class _Input(msgspec.Struct):
    name: str
    datatype: str
    shape: list[int]
    data: Any = msgspec.UNSET
    parameters: Parameters = {}


class _Output(msgspec.Struct):
    name: str
    parameters: Parameters = {}


class _Body(msgspec.Struct):
    inputs: list[_Input]
    id: str = ""
    outputs: list[_Output] = []
    parameters: Parameters = {}


class RestRequest(msgspec.Struct, frozen=True):
    """A request for the handler, and which outputs are wanted as binary."""

    message: oip.ModelInferRequest
    binary_outputs: Mapping[str, bool]
    is_binary_usual: bool

    def is_binary(self, output: str) -> bool:
        """Whether an output is sent in the binary part."""
        return self.binary_outputs.get(output, self.is_binary_usual)


def read_request(model: str, version: str, data: bytes, header_length: str | None) -> RestRequest:
    """Return the request that a body holds.

    Args:
        model: from the path.
        version: from the path; empty: the route chooses.
        data: the body.
        header_length: bytes of JSON before the raw tensors; None: all is JSON.

    Raises:
        InvalidInput: the body is not a request, has a name twice in one object, or a tensor
            contradicts itself.
    """
    length = _header_length(header_length, len(data))
    try:
        body = msgspec.json.decode(data[:length], type=_Body)
    except UNDECODABLE as error:
        raise InvalidInput(f"the body is not an inference request: {error}") from error
    check_unique_names(data[:length], _count_members(body))
    message = oip.ModelInferRequest(model_name=model, model_version=version, id=body.id)
    binary = memoryview(data)[length:]
    for given in body.inputs:
        binary = _add_input(message, given, binary)
    if len(binary):
        raise InvalidInput(f"{len(binary)} bytes of the binary part belong to no input")
    _add_parameters(message, body.parameters)
    for output in body.outputs:
        check_served(output.name, output.parameters)
        message.outputs.add(name=output.name)
    wanted = {
        output.name: bool(output.parameters["binary_data"])
        for output in body.outputs
        if "binary_data" in output.parameters
    }
    return RestRequest(message, wanted, bool(body.parameters.get("binary_data_output")))


def write_response(
    request: RestRequest, response: oip.ModelInferResponse
) -> tuple[bytes, int | None]:
    """Return the body of an answer, and the length of its JSON if a binary part follows."""
    outputs: list[dict[str, Any]] = []
    binary: list[bytes] = []
    for tensor, raw in zip(response.outputs, response.raw_output_contents, strict=True):
        shown: dict[str, Any] = {
            "name": tensor.name,
            "datatype": tensor.datatype,
            "shape": list(tensor.shape),
        }
        if request.is_binary(tensor.name):
            shown["parameters"] = {"binary_data_size": len(raw)}
            binary.append(raw)
        else:
            shown["data"] = unpack(tensor.datatype, raw).tolist()
        outputs.append(shown)
    document = {
        "model_name": response.model_name,
        "model_version": response.model_version,
        "id": response.id,
        "parameters": {name: one.string_param for name, one in response.parameters.items()},
        "outputs": outputs,
    }
    # NaN becomes null here.
    data = msgspec.json.encode(document)
    return (data + b"".join(binary), len(data)) if binary else (data, None)


def _count_members(body: _Body) -> int:
    """Return how many members the objects of a body have; those with a default may be missing."""
    count = 1 + bool(body.id) + bool(body.outputs) + _count_parameters(body.parameters)
    for given in body.inputs:
        has_data = given.data is not msgspec.UNSET
        count += 3 + has_data + _count_parameters(given.parameters)
    for output in body.outputs:
        count += 1 + _count_parameters(output.parameters)
    return count


def _count_parameters(parameters: Parameters) -> int:
    return len(parameters) + bool(parameters)


def _header_length(text: str | None, size: int) -> int:
    if text is None:
        return size
    if not (text.isascii() and text.isdecimal()) or int(text) > size:
        raise InvalidInput(f"{LENGTH_HEADER} is {text[:40]!r}; right would be 0 to {size}")
    return int(text)


def _add_input(message: oip.ModelInferRequest, given: _Input, binary: memoryview) -> memoryview:
    """Append an input to the message; return what is left of the binary part."""
    check_served(given.name, given.parameters)
    shape = given.shape
    if len(shape) > DIMENSIONS_LIMIT or any(not -1 < one < _SHAPE_LIMIT for one in shape):
        _refuse(given.name, "shape", shape[:20], "[N], [N, 1] or [N, …] with N rows")
    size = given.parameters.get("binary_data_size")
    missing = given.parameters.get(MISSING)
    if missing is not None and not isinstance(missing, str):
        _refuse(given.name, MISSING, missing, "a text: a JSON list of numbers of rows")
    if size is None:
        values = _flat(given)
        if missing is None and (places := _null_rows(given, values)):
            missing = write_missing(places)
            values = [
                _PLACEHOLDERS.get(given.datatype, 0) if one is None else one for one in values
            ]
        raw, rest = _packed(given, values), binary
    elif not isinstance(size, int) or not 0 <= size <= len(binary):
        _refuse(given.name, "binary_data_size", size, f"0 to {len(binary)} bytes, all that is left")
    else:
        raw, rest = bytes(binary[:size]), binary[size:]
    tensor = message.inputs.add(name=given.name, datatype=given.datatype, shape=shape)
    if missing is not None:
        tensor.parameters[MISSING].string_param = missing
    message.raw_input_contents.append(raw)
    return rest


def _null_rows(given: _Input, values: Sequence[Any]) -> list[int]:
    """Return the rows whose one value is null, of a datatype without NaN."""
    if given.datatype.startswith("FP") or any(length != 1 for length in given.shape[1:]):
        return []
    return [row for row, value in enumerate(values) if value is None]


def _packed(given: _Input, values: Sequence[Any]) -> bytes:
    """Return the raw contents of an input whose values are JSON."""
    if given.datatype == TEXT:
        _require(given, values, str)
        return pack(TEXT, np.array([*values, None], object)[:-1])
    if given.datatype not in ELEMENT_TYPES:
        known = ", ".join((*ELEMENT_TYPES, TEXT))
        _refuse(given.name, "datatype", given.datatype[:40], f"one of {known}")
    kind = np.dtype(ELEMENT_TYPES[given.datatype])
    if kind.kind == "b":
        _require(given, values, bool)
    elif kind.kind == "f":
        values = [float("nan") if value is None else value for value in values]
        _require(given, values, int, float)
    else:
        _require(given, values, int)
    try:
        with np.errstate(over="ignore"):
            return np.array(values, kind).tobytes()
    except OverflowError:
        expected = f"what {given.datatype} can hold"
        _refuse(given.name, "range", "a number out of range", expected)


def _flat(given: _Input) -> Sequence[Any]:
    """Return the values of nested lists in one."""
    values = given.data
    if not isinstance(values, list):
        _refuse(given.name, "data", type(values).__name__, "a list of values, or binary_data_size")
    for _ in range(DIMENSIONS_LIMIT):
        if not any(isinstance(value, list) for value in values):
            return values
        if not all(isinstance(value, list) for value in values):
            _refuse(given.name, "data", "lists beside values", "lists of one depth")
        values = list(chain.from_iterable(values))
    _refuse(given.name, "data", "too many lists in lists", f"at most {DIMENSIONS_LIMIT}")


def _require(given: _Input, values: Sequence[Any], *kinds: type) -> None:
    for number, value in enumerate(values):
        if type(value) not in kinds:
            words = " or ".join(kind.__name__ for kind in kinds)
            found = f"a {type(value).__name__} at {number}"
            _refuse(given.name, "type", found, f"{words} for {given.datatype}")


def _add_parameters(message: oip.ModelInferRequest, parameters: Parameters) -> None:
    for name, value in parameters.items():
        if name in _BINARY:
            continue
        parameter = message.parameters[name]
        try:
            if isinstance(value, bool):
                parameter.bool_param = value
            elif isinstance(value, int):
                parameter.int64_param = value
            elif isinstance(value, float):
                parameter.double_param = value
            else:
                parameter.string_param = value
        except ValueError as error:
            _refuse(f"parameter {name[:80]!r}", "range", "a number out of range", str(error))


def _refuse(name: str, rule: str, value: object, expected: str) -> NoReturn:
    field = name[:128]
    raise InvalidInput(
        f"{field!r}: {rule} is {value!r}; right would be {expected}",
        details=[{"field": field, "rule": rule, "value": value, "expected": expected}],
    )
