"""The records of a CSV text: where each ends, and how many values it has."""

from libc.stdint cimport int32_t, int64_t, uint8_t

import numpy as np


cdef enum State:
    FIELD_START
    IN_FIELD
    IN_QUOTES


cdef Py_ssize_t _find(
    const uint8_t *data, Py_ssize_t size, uint8_t delimiter,
    int64_t *ends, int32_t *widths, State *last
) noexcept nogil:
    cdef Py_ssize_t at = 0, count = 0, start = 0
    cdef int32_t values = 1
    cdef uint8_t byte
    cdef State state = FIELD_START
    while at < size:
        byte = data[at]
        at += 1
        if state == IN_QUOTES:
            if byte == b'"':
                if at < size and data[at] == b'"':
                    at += 1
                else:
                    state = IN_FIELD
        elif byte == delimiter:
            values += 1
            state = FIELD_START
        elif byte == b"\n" or byte == b"\r":
            # A line of no bytes has no value, not one that is empty.
            widths[count] = values if at - 1 > start else 0
            if byte == b"\r" and at < size and data[at] == b"\n":
                at += 1
            ends[count] = at
            count += 1
            start, values, state = at, 1, FIELD_START
        elif byte == b'"' and state == FIELD_START:
            state = IN_QUOTES
        else:
            state = IN_FIELD
    if at > start:
        widths[count] = values
        ends[count] = at
        count += 1
    last[0] = state
    return count


def find_records(const uint8_t[::1] data, str delimiter):
    cdef Py_ssize_t count = 0, most = 1, at
    cdef State last = FIELD_START
    cdef uint8_t byte = ord(delimiter)
    with nogil:
        for at in range(data.shape[0]):
            most += data[at] == b"\n" or data[at] == b"\r"
    cdef int64_t[::1] ends = np.empty(most, np.int64)
    cdef int32_t[::1] widths = np.empty(most, np.int32)
    if data.shape[0]:
        with nogil:
            count = _find(&data[0], data.shape[0], byte, &ends[0], &widths[0], &last)
    return np.asarray(ends)[:count], np.asarray(widths)[:count], last == IN_QUOTES
