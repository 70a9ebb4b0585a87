"""A walk through the messages of an ONNX file that finds tensors whose data are not in it.

An ONNX file is one protobuf message, `ModelProto`. Of each message only its children are followed;
all other fields are skipped by their length, without a copy. The walk keeps a stack of its own, so
no file can exhaust the caller's.
"""

from libc.stdint cimport uint8_t, uint64_t

import enum

__all__ = ["WalkVerdict", "tensor_name", "walk"]

cdef enum:
    # A message within a message; protobuf's own parsers stop there as well.
    DEPTH_LIMIT = 100
    TAG_BYTES = 5
    VARINT_BYTES = 10
    # Numbers of fields of TensorProto.
    NAME = 8
    EXTERNAL_DATA = 13
    DATA_LOCATION = 14

cdef enum Kind:
    NOTHING
    MODEL
    TRAINING
    FUNCTION
    GRAPH
    NODE
    ATTRIBUTE
    TENSOR
    SPARSE

cdef enum WireType:
    VARINT
    FIXED64
    LENGTH
    GROUP_START
    GROUP_END
    FIXED32

cdef enum Found:
    ALL_INSIDE
    EXTERNAL
    CUT_SHORT
    MALFORMED
    TOO_DEEP


class WalkVerdict(enum.IntEnum):
    """What a walk found; the numbers are those of `Found`."""

    ALL_INSIDE = 0
    EXTERNAL = 1
    CUT_SHORT = 2
    MALFORMED = 3
    TOO_DEEP = 4


cdef struct Message:
    Kind kind
    size_t start
    size_t end


cdef struct Walk:
    const uint8_t* data
    size_t at
    int depth
    Message[DEPTH_LIMIT] open


def walk(const unsigned char[::1] file not None):
    """Return a verdict, the byte where the walk ended, and the start and end of the last message.

    For `EXTERNAL` the last message is the tensor.
    """
    cdef Walk state
    cdef Message last
    cdef Found found
    if file.shape[0] == 0:
        return WalkVerdict.CUT_SHORT, 0, 0, 0
    state.data = &file[0]
    state.at = 0
    state.depth = 1
    state.open[0] = Message(MODEL, 0, <size_t>file.shape[0])
    with nogil:
        found = follow(&state)
    last = state.open[max(state.depth - 1, 0)]
    return WalkVerdict(<int>found), state.at, last.start, last.end


def tensor_name(const unsigned char[::1] file not None, size_t start, size_t end):
    """Return the name of the tensor between two places of a file; empty if it has none."""
    cdef Walk state
    cdef Message tensor = Message(NOTHING, start, min(end, <size_t>file.shape[0]))
    cdef uint64_t tag = 0
    cdef size_t before
    state.data = &file[0]
    state.at = start
    state.depth = 1
    while read_varint(&state, tensor.end, TAG_BYTES, &tag):
        before = state.at
        if take(&state, &tensor, tag >> 3, <int>(tag & 7)) != ALL_INSIDE:
            break
        if tag == (NAME << 3 | LENGTH):
            while file[before] & 0x80:
                before += 1
            return bytes(file[before + 1:state.at])
    return b""


cdef Found follow(Walk* state) noexcept nogil:
    cdef Message* message
    cdef uint64_t tag
    cdef Found found
    while state.depth:
        message = &state.open[state.depth - 1]
        if state.at == message.end:
            state.depth -= 1
            continue
        if not read_varint(state, message.end, TAG_BYTES, &tag):
            return CUT_SHORT if state.at == message.end else MALFORMED
        if tag >> 3 == 0 or tag >> 32:
            return MALFORMED
        found = take(state, message, tag >> 3, <int>(tag & 7))
        if found != ALL_INSIDE:
            return found
    return ALL_INSIDE


cdef Found take(
    Walk* state, const Message* message, uint64_t field, int wire_type
) noexcept nogil:
    """Follow or skip one field, whose tag was read."""
    cdef uint64_t number
    cdef Kind kind
    if wire_type == VARINT:
        if not read_varint(state, message.end, VARINT_BYTES, &number):
            return CUT_SHORT if state.at == message.end else MALFORMED
        if message.kind == TENSOR and field == DATA_LOCATION and number:
            return EXTERNAL
        return ALL_INSIDE
    if wire_type == LENGTH:
        if not read_varint(state, message.end, VARINT_BYTES, &number):
            return CUT_SHORT if state.at == message.end else MALFORMED
    elif wire_type == FIXED64:
        number = 8
    elif wire_type == FIXED32:
        number = 4
    else:
        # Groups are of a protobuf older than ONNX.
        return MALFORMED
    if number > message.end - state.at:
        return CUT_SHORT
    if message.kind == TENSOR and field == EXTERNAL_DATA:
        return EXTERNAL
    kind = child(message.kind, field) if wire_type == LENGTH else NOTHING
    if kind == NOTHING:
        state.at += number
        return ALL_INSIDE
    if state.depth == DEPTH_LIMIT:
        return TOO_DEEP
    state.open[state.depth] = Message(kind, state.at, state.at + <size_t>number)
    state.depth += 1
    return ALL_INSIDE


cdef Kind child(Kind parent, uint64_t field) noexcept nogil:
    """Return what kind of message a field holds, as far as tensors may be in it."""
    if parent == MODEL:
        return GRAPH if field == 7 else TRAINING if field == 20 else (
            FUNCTION if field == 25 else NOTHING)
    if parent == TRAINING:
        return GRAPH if field == 1 or field == 2 else NOTHING
    if parent == FUNCTION:
        return NODE if field == 7 else ATTRIBUTE if field == 11 else NOTHING
    if parent == GRAPH:
        return NODE if field == 1 else TENSOR if field == 5 else (
            SPARSE if field == 15 else NOTHING)
    if parent == NODE:
        return ATTRIBUTE if field == 5 else NOTHING
    if parent == ATTRIBUTE:
        return TENSOR if field == 5 or field == 10 else (
            GRAPH if field == 6 or field == 11 else (
                SPARSE if field == 22 or field == 23 else NOTHING))
    if parent == SPARSE:
        return TENSOR if field == 1 or field == 2 else NOTHING
    return NOTHING


cdef bint read_varint(Walk* state, size_t end, int limit, uint64_t* value) noexcept nogil:
    """Read a number of at most so many bytes; False leaves `at` behind what could be read."""
    cdef int place
    cdef uint8_t byte
    value[0] = 0
    for place in range(limit):
        if state.at == end:
            return False
        byte = state.data[state.at]
        state.at += 1
        value[0] |= <uint64_t>(byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return True
    return False
