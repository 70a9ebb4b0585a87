# Protobuf's wire format, as answers are written.

from libc.stdint cimport uint8_t

from gnomon.server.serving.native.buffer cimport buffer

cdef extern from "protobuf.h":
    int is_utf8 "gnomon_is_utf8"(const uint8_t*, size_t) nogil
    void write_bytes "gnomon_write_bytes"(buffer*, int, const void*, size_t) nogil
