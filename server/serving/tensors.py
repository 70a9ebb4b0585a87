"""Tensors of the Open Inference Protocol to columns and back.

A tensor of a request carries one field, `[N]`, `[N, 1]` or `[N, …]`, as typed contents or as raw
bytes. Raw bytes are little-endian; BYTES elements have a 4-byte length before each; FP16 and BF16
are raw only. The parameter `missing` lists rows without a value (`missing_rows`). This module
rejects only tensors whose shape, datatype and length do not fit each other. The contract checks the
fields.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnomon.proto import inference_pb2
from gnomon.runtime.errors import InvalidInput, InvalidOutput
from gnomon.runtime.packages.manifest import TensorSpec
from gnomon.runtime.raw_tensors import ELEMENT_TYPES, MISSING, TEXT, pack, unpack_texts
from gnomon.server.serving.missing_rows import mark_missing, read_missing

#: Datatype → field of the typed contents; what is not here comes raw only.
_CONTENTS_OF: Mapping[str, str] = {
    "BOOL": "bool_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
}
_CONTENTS = {
    "bool_contents": np.bool_,
    "int_contents": np.int32,
    "int64_contents": np.int64,
    "uint_contents": np.uint32,
    "uint64_contents": np.uint64,
    "fp32_contents": np.float32,
    "fp64_contents": np.float64,
}
#: NumPy has no bfloat16; float32 holds its numbers exactly.
_SHORT_FLOAT = "BF16"
DIMENSIONS_LIMIT = 8

Tensor = inference_pb2.ModelInferRequest.InferInputTensor


def decode_inputs(request: inference_pb2.ModelInferRequest) -> dict[str, NDArray[Any]]:
    """Return one array for each tensor, of the tensor's shape; texts as object arrays.

    A row that is marked as missing is NaN in a column of floats. Any other column with such rows is
    an object array of shape (rows,), in which they are None.

    Raises:
        InvalidInput: a tensor contradicts itself, or tensors differ in their number of rows.
    """
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        raise InvalidInput(
            f"the request has {len(raw)} raw_input_contents for {len(request.inputs)} inputs; "
            "there must be one for each, or none at all"
        )
    columns: dict[str, NDArray[Any]] = {}
    for number, tensor in enumerate(request.inputs):
        if tensor.name in columns:
            raise _refusal(tensor, "name", tensor.name, "each input once")
        _check_contents(tensor, is_raw=bool(raw))
        values = _decode(tensor, raw[number] if raw else None)
        if MISSING in tensor.parameters:
            values = mark_missing(values, _missing_rows(tensor, len(values)))
        columns[tensor.name] = values
    _check_rows(columns)
    return columns


def encode_outputs(
    specs: Iterable[TensorSpec],
    outputs: Mapping[str, NDArray[Any]],
    response: inference_pb2.ModelInferResponse,
    *,
    raw: bool,
) -> None:
    """Append the outputs to the response, as raw bytes or as typed contents.

    A missing number is NaN if the datatype has NaN; a missing text is empty.

    Args:
        specs: the outputs that were asked for, in the response's order.
        outputs: name → array of shape (rows,) or (rows, width).
        response: changed in place.
        raw: write raw bytes; False: typed contents.

    Raises:
        InvalidOutput: an output has a value that its integer datatype cannot hold.
    """
    for spec in specs:
        values = _exact(spec, outputs[spec.name])
        tensor = response.outputs.add(name=spec.name, datatype=spec.datatype)
        tensor.shape.extend(_output_shape(spec, values))
        contents = _CONTENTS_OF.get(spec.datatype)
        if raw or (contents is None and spec.datatype != TEXT):
            response.raw_output_contents.append(pack(spec.datatype, values))
        elif contents is None:
            texts = [b"" if text is None else str(text).encode() for text in values.ravel()]
            tensor.contents.bytes_contents.extend(texts)
        else:
            kind = ELEMENT_TYPES[spec.datatype]
            getattr(tensor.contents, contents).extend(values.astype(kind).ravel().tolist())


def _exact(spec: TensorSpec, values: NDArray[Any]) -> NDArray[Any]:
    """Return an output in its datatype if that is an integer's; nothing is cut off or rounded."""
    kind = np.dtype(ELEMENT_TYPES.get(spec.datatype, "O"))
    if kind.kind not in "iu" or values.dtype == kind:
        return values
    try:
        with np.errstate(invalid="ignore"):
            whole = values.astype(kind)
        if np.array_equal(whole, values):
            return whole
    except (TypeError, ValueError, OverflowError):
        pass
    expected = f"whole numbers that {spec.datatype} can hold, none missing"
    raise InvalidOutput(
        f"output {spec.name!r} has other values than {expected}",
        details=[{"field": spec.name, "rule": "datatype", "value": None, "expected": expected}],
    )


def _check_contents(tensor: Tensor, *, is_raw: bool) -> None:
    """Refuse values that are given twice, or in the contents of another datatype.

    Raises:
        InvalidInput: it is not clear which values are meant.
    """
    if not tensor.HasField("contents"):
        return
    own = "bytes_contents" if tensor.datatype == TEXT else _CONTENTS_OF.get(tensor.datatype)
    for field, _ in tensor.contents.ListFields():
        if is_raw:
            raise _refusal(tensor, "contents", field.name, "raw_input_contents alone")
        if own is not None and field.name != own:
            raise _refusal(tensor, "contents", field.name, f"{own} for {tensor.datatype}")


def _decode(tensor: Tensor, raw: bytes | None) -> NDArray[Any]:
    shape = tuple(tensor.shape)
    if not 0 < len(shape) <= DIMENSIONS_LIMIT or shape[0] < 0 or min(shape[1:], default=1) < 1:
        raise _refusal(tensor, "shape", list(shape)[:20], "[N], [N, 1] or [N, …] with N rows")
    count = math.prod(shape)
    if tensor.datatype == TEXT:
        texts = tensor.contents.bytes_contents if raw is None else _split(tensor, raw)
        values: NDArray[Any] = _texts(tensor, texts, count)
    elif tensor.datatype == _SHORT_FLOAT and raw is not None:
        values = _short_floats(tensor, raw, count)
    elif tensor.datatype not in ELEMENT_TYPES:
        known = ", ".join((*ELEMENT_TYPES, _SHORT_FLOAT + " (raw)", TEXT))
        raise _refusal(tensor, "datatype", tensor.datatype[:40], f"one of {known}")
    elif raw is None:
        values = _typed_numbers(tensor, count)
    else:
        values = _raw_numbers(tensor, raw, count)
    if not count or shape[1:] in ((), (1,)):
        return values
    return values.reshape(shape)


def _missing_rows(tensor: Tensor, rows: int) -> NDArray[np.int64]:
    try:
        return read_missing(tensor.parameters[MISSING].string_param, rows)
    except ValueError as error:
        expected = f"a JSON list of numbers of rows, from 0 to {rows - 1}"
        raise _refusal(tensor, MISSING, str(error), expected) from error


def _raw_numbers(tensor: Tensor, raw: bytes, count: int) -> NDArray[Any]:
    kind = np.dtype(ELEMENT_TYPES[tensor.datatype])
    if len(raw) != count * kind.itemsize:
        expected = f"{count * kind.itemsize} bytes for shape {list(tensor.shape)}"
        raise _refusal(tensor, "bytes", f"{len(raw)} bytes", expected)
    if kind.kind == "b" and raw.strip(b"\0\1"):
        raise _refusal(tensor, "bool", "another byte", "bytes of 0 or 1")
    return np.frombuffer(raw, kind)


def _short_floats(tensor: Tensor, raw: bytes, count: int) -> NDArray[Any]:
    """Return bfloat16 numbers: the upper halves of float32's."""
    if len(raw) != count * 2:
        expected = f"{count * 2} bytes for shape {list(tensor.shape)}"
        raise _refusal(tensor, "bytes", f"{len(raw)} bytes", expected)
    return (np.frombuffer(raw, "<u2").astype("<u4") << 16).view("<f4")


def _typed_numbers(tensor: Tensor, count: int) -> NDArray[Any]:
    kind, contents = ELEMENT_TYPES[tensor.datatype], _CONTENTS_OF.get(tensor.datatype)
    if contents is None:
        raise _refusal(tensor, "contents", tensor.datatype, "raw_input_contents for this datatype")
    given: Sequence[Any] = getattr(tensor.contents, contents)
    if len(given) != count:
        expected = f"{count} in {contents} for shape {list(tensor.shape)}"
        raise _refusal(tensor, "contents", f"{len(given)} values", expected)
    values: NDArray[Any] = np.array(given, _CONTENTS[contents])
    narrowed: NDArray[Any] = values.astype(kind)
    if narrowed.dtype.kind != "f" and not np.array_equal(values, narrowed):
        raise _refusal(tensor, "range", "a number out of range", f"what {tensor.datatype} can hold")
    return narrowed


def _split(tensor: Tensor, raw: bytes) -> list[bytes]:
    """Return the elements of raw BYTES contents."""
    try:
        return unpack_texts(raw)
    except ValueError as error:
        expected = "elements of a 4-byte little-endian length and as many bytes"
        raise _refusal(tensor, "bytes", str(error), expected) from error


def _texts(tensor: Tensor, given: Sequence[bytes], count: int) -> NDArray[Any]:
    if len(given) != count:
        expected = f"{count} for shape {list(tensor.shape)}"
        raise _refusal(tensor, "contents", f"{len(given)} texts", expected)
    values: NDArray[Any] = np.empty(count, object)
    try:
        for number, text in enumerate(given):
            values[number] = text.decode()
    except UnicodeDecodeError as error:
        raise _refusal(tensor, "text", f"element {number}", "UTF-8") from error
    return values


def _check_rows(columns: Mapping[str, NDArray[Any]]) -> None:
    rows = {name: len(values) for name, values in columns.items()}
    if len(set(rows.values())) > 1:
        raise InvalidInput(
            f"the inputs differ in their number of rows: {dict(list(rows.items())[:20])}; "
            "all must have the same",
            details=[
                {"field": name, "rule": "rows", "value": count, "expected": "the same for all"}
                for name, count in rows.items()
            ],
        )


def _output_shape(spec: TensorSpec, values: NDArray[Any]) -> tuple[int, ...]:
    if values.ndim == 1 and len(spec.shape) > 1:
        return (len(values), 1)
    return values.shape


def _refusal(tensor: Tensor, rule: str, value: object, expected: str) -> InvalidInput:
    name = tensor.name[:128]
    return InvalidInput(
        f"input {name!r}: {rule} is {value!r}; right would be {expected}",
        details=[{"field": name, "rule": rule, "value": value, "expected": expected}],
    )
