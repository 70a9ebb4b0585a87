"""Raw contents of the Open Inference Protocol: little-endian elements, texts with their lengths.

An element of datatype BYTES has a 4-byte length before it.
"""

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

TEXT = "BYTES"

#: The parameter of an input tensor that lists the rows without a value: a JSON list of their
#: numbers, from 0. The elements of these rows are never read.
MISSING = "missing"

#: Datatype → element type of NumPy; all but `TEXT`.
ELEMENT_TYPES: Mapping[str, str] = {
    "BOOL": "|b1",
    "UINT8": "|u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "INT8": "|i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
}
_LENGTH = struct.Struct("<I")


def pack(datatype: str, values: NDArray[Any]) -> bytes:
    """Return the raw contents of an array of any shape; a text that is None is empty."""
    if datatype == TEXT:
        texts = [b"" if text is None else str(text).encode() for text in values.ravel()]
        return b"".join(part for text in texts for part in (_LENGTH.pack(len(text)), text))
    return np.ascontiguousarray(values, ELEMENT_TYPES[datatype]).tobytes()


def unpack(datatype: str, raw: bytes) -> NDArray[Any]:
    """Return the elements of raw contents, of shape (elements,); texts as an object array.

    Raises:
        ValueError: the bytes end within an element, are not UTF-8, or the datatype is unknown.
    """
    if datatype == TEXT:
        return np.array([*(text.decode() for text in unpack_texts(raw)), None], object)[:-1]
    if datatype not in ELEMENT_TYPES:
        raise ValueError(f"datatype {datatype[:40]!r} should be one of {', '.join(ELEMENT_TYPES)}")
    return np.frombuffer(raw, ELEMENT_TYPES[datatype])


def unpack_texts(raw: bytes) -> list[bytes]:
    """Return the elements of raw contents of texts.

    Raises:
        ValueError: the bytes end within an element.
    """
    texts: list[bytes] = []
    place = 0
    while place + _LENGTH.size <= len(raw):
        (length,) = _LENGTH.unpack_from(raw, place)
        place += _LENGTH.size + length
        texts.append(raw[place - length : place])
    if place != len(raw):
        raise ValueError(f"{len(raw)} bytes end within an element")
    return texts
