# Requests that were answered without the GIL and that shadows receive too.

from libc.stdint cimport uint8_t, uint64_t

from gnomon.server.serving.native.buffer cimport slice

cdef extern from "shadow_calls.h":
    struct shadow_call:
        double moment
        size_t identity_size
        size_t message_size
        uint8_t* data

    struct shadow_queue:
        uint64_t dropped

    int shadow_queue_init "gnomon_shadow_queue_init"(shadow_queue*) nogil
    void shadow_queue_clear "gnomon_shadow_queue_clear"(shadow_queue*) nogil
    void shadow_queue_put "gnomon_shadow_queue_put"(shadow_queue*, slice, slice, double) nogil
    shadow_call* shadow_queue_take "gnomon_shadow_queue_take"(shadow_queue*) nogil
    void shadow_queue_close "gnomon_shadow_queue_close"(shadow_queue*) nogil


cdef class NativeShadowQueue:
    cdef shadow_queue queue
    cdef bint _is_ready
    cdef void put(self, slice identity, slice message, double moment) noexcept nogil
