# The outputs of an answer, as the encoder writes them.

from libc.stdint cimport int64_t, uint64_t

from gnomon.server.serving.native.buffer cimport buffer, slice

cdef extern from "answer.h":
    enum:
        ONNX_FLOAT32
        ONNX_INT32
        ONNX_INT64
        ONNX_FLOAT64

    struct output:
        slice name
        slice head
        const void* data
        int element_type
        int wire_type
        size_t width
        int rank
        int tensor_rank
        int64_t[8] shape
        int64_t[8] tensor_shape
        const slice* texts
        size_t text_count
        size_t text_longest

    size_t answer_room "gnomon_answer_room"(const output*, int, size_t) nogil
    void answer_write "gnomon_answer_write"(
        const output*, int, uint64_t, size_t, int, buffer*
    ) nogil
