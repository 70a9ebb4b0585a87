"""Takes the operator ZipMap out of an ONNX file, so that probabilities are a tensor again.

Exports of scikit-learn's classifiers end with it: it makes of a row's probabilities a map from
class to probability, which is no tensor. The tensor that goes in becomes the output instead. The
rest of the file stays as it is, byte for byte.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

__all__ = ["UnwrappedMap", "unwrap_zip_maps"]

# Fields of ONNX's messages.
_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_OUTPUT = 1, 12
_NODE_INPUT, _NODE_OUTPUT, _NODE_OPERATOR, _NODE_ATTRIBUTE = 1, 2, 4, 5
_ATTRIBUTE_INTS, _ATTRIBUTE_STRINGS = 8, 9
_VALUE_NAME, _VALUE_TYPE = 1, 2
#: The type of a tensor of float32 with two axes of any length.
_FLOATS = bytes((0x0A, 8, 0x08, 1, 0x12, 4, 0x0A, 0, 0x0A, 0))

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class UnwrappedMap(NamedTuple):
    """An output that was a map.

    Attributes:
        output: its name in the file as it was.
        tensor: the output that the file has instead.
        classes: what the tensor's columns are, in order.
    """

    output: str
    tensor: str
    classes: tuple[str, ...]


class _Field(NamedTuple):
    """A field of a message: its number, where it starts, and its value."""

    number: int
    start: int
    end: int
    value: bytes
    whole: int


def unwrap_zip_maps(content: bytes) -> tuple[bytes, tuple[UnwrappedMap, ...]]:
    """Return an ONNX file without the ZipMap operators behind its outputs, and what they were.

    A file that has none, or that is not valid, comes back as it is.
    """
    if b"ZipMap" not in content:
        return content, ()
    try:
        return _unwrap(content)
    except (ValueError, IndexError):
        # Whoever loads it says what is wrong.
        return content, ()


def _unwrap(content: bytes) -> tuple[bytes, tuple[UnwrappedMap, ...]]:
    graphs = [one for one in _fields(content) if one.number == _MODEL_GRAPH]
    if len(graphs) != 1:
        return content, ()
    graph = graphs[0]
    parts = list(_fields(graph.value))
    maps = _maps_of(parts)
    if not maps:
        return content, ()
    rewritten = b"".join(_rewritten(graph.value, parts, maps))
    changed = _bytes_field(_MODEL_GRAPH, rewritten)
    return content[: graph.start] + changed + content[graph.end :], tuple(maps.values())


def _maps_of(parts: Sequence[_Field]) -> dict[str, UnwrappedMap]:
    """Return the maps that are outputs of a graph, and of nothing else, by their names."""
    outputs = {_text(one.value, _VALUE_NAME) for one in parts if one.number == _GRAPH_OUTPUT}
    nodes = [one.value for one in parts if one.number == _GRAPH_NODE]
    used = [name for node in nodes for name in _texts(node, _NODE_INPUT)]
    maps = {}
    for node in nodes:
        if _text(node, _NODE_OPERATOR) != "ZipMap":
            continue
        (tensor,), (output,) = _texts(node, _NODE_INPUT), _texts(node, _NODE_OUTPUT)
        if output in outputs and output not in used and tensor not in outputs:
            maps[output] = UnwrappedMap(output, tensor, tuple(_classes(node)))
    return maps


def _rewritten(
    graph: bytes, parts: Sequence[_Field], maps: dict[str, UnwrappedMap]
) -> Iterator[bytes]:
    """Yield a graph without the nodes of the maps, and with their tensors as outputs."""
    for part in parts:
        if part.number == _GRAPH_NODE and _is_in(maps, part.value):
            continue
        name = _text(part.value, _VALUE_NAME) if part.number == _GRAPH_OUTPUT else ""
        if name in maps:
            value = _bytes_field(_VALUE_NAME, maps[name].tensor.encode())
            yield _bytes_field(_GRAPH_OUTPUT, value + _bytes_field(_VALUE_TYPE, _FLOATS))
        else:
            yield graph[part.start : part.end]


def _is_in(maps: dict[str, UnwrappedMap], node: bytes) -> bool:
    return _text(node, _NODE_OPERATOR) == "ZipMap" and _text(node, _NODE_OUTPUT) in maps


def _classes(node: bytes) -> Iterator[str]:
    """Yield the names of a map's classes; numbers as texts."""
    for attribute in (one.value for one in _fields(node) if one.number == _NODE_ATTRIBUTE):
        for field in _fields(attribute):
            if field.number == _ATTRIBUTE_STRINGS:
                yield field.value.decode()
            elif field.number == _ATTRIBUTE_INTS:
                yield from map(str, _whole_numbers(field))


def _whole_numbers(field: _Field) -> Iterator[int]:
    """Yield a repeated field's whole numbers, packed or not."""
    if field.end - field.start and not field.value:
        yield _signed(field.whole)
        return
    place = 0
    while place < len(field.value):
        number, place = _varint(field.value, place)
        yield _signed(number)


def _signed(number: int) -> int:
    return number - (1 << 64) if number >> 63 else number


def _texts(message: bytes, number: int) -> list[str]:
    return [one.value.decode() for one in _fields(message) if one.number == number]


def _text(message: bytes, number: int) -> str:
    return next(iter(_texts(message, number)), "")


def _fields(message: bytes) -> Iterator[_Field]:
    """Yield the fields of a message; raises `ValueError` or `IndexError` if it is not valid."""
    place = 0
    while place < len(message):
        start = place
        key, place = _varint(message, place)
        number, kind, value, whole = key >> 3, key & 7, b"", 0
        if kind == _VARINT:
            whole, place = _varint(message, place)
        elif kind == _BYTES:
            length, place = _varint(message, place)
            value = message[place : place + length]
            place += length
        elif kind in (_FIXED64, _FIXED32):
            place += 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"wire type {kind}")
        if place > len(message):
            raise ValueError("a field ends behind its message")
        yield _Field(number, start, place, value, whole)


def _varint(message: bytes, place: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, 70, 7):
        byte = message[place]
        place += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number & ((1 << 64) - 1), place
    raise ValueError("a number of more than 10 bytes")


def _bytes_field(number: int, value: bytes) -> bytes:
    return _encoded(number << 3 | _BYTES) + _encoded(len(value)) + value


def _encoded(number: int) -> bytes:
    made = bytearray()
    while number >= 128:
        made.append(number & 127 | 128)
        number >>= 7
    return bytes([*made, number])
