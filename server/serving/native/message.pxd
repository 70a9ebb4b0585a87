# Requests for predictions as the decoder reads them.

from libc.stdint cimport int64_t, uint8_t, uint64_t

from gnomon.server.serving.native.buffer cimport buffer, slice

cdef extern from "message.h":
    enum:
        TENSORS_LIMIT
        OUTPUTS_LIMIT
        ELEMENT_BAD
        ELEMENT_BOOL
        ELEMENT_SIGNED
        ELEMENT_UNSIGNED
        ELEMENT_DOUBLE
        ELEMENT_TEXT
        TYPE_FP32
        TYPE_FP64
        TYPE_INT32
        TYPE_INT64
        TYPE_BYTES

    struct tensor:
        slice name
        slice contents
        int type
        int64_t rows
        int64_t width
        int rank
        int is_raw

    struct request:
        slice model
        slice version
        slice id
        slice key
        int has_key
        int tensors
        int outputs
        int raw
        tensor[512] tensor
        slice[64] output

    struct cursor:
        const uint8_t* at
        const uint8_t* end

    struct element:
        int kind
        int64_t whole
        uint64_t natural
        double number
        slice text

    int request_read "gnomon_request_read"(const uint8_t*, size_t, request*) nogil
    int cursor_start "gnomon_cursor_start"(const tensor*, cursor*) nogil
    void cursor_next "gnomon_cursor_next"(cursor*, element*) nogil
