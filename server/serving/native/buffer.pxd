# Bytes that grow, and a view of bytes that another owner holds.

from libc.stdint cimport uint8_t

cdef extern from "buffer.h":
    struct slice:
        const uint8_t* data
        size_t size

    struct buffer:
        uint8_t* data
        size_t size
        size_t room

    int buffer_reserve(buffer*, size_t) nogil
    int buffer_append(buffer*, const void*, size_t) nogil
