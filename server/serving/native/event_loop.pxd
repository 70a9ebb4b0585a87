# The loop's own functions, and what Python's threads do to calls.

from libc.stdint cimport uint8_t, uint64_t

from gnomon.server.serving.native.buffer cimport buffer
from gnomon.server.serving.native.exchange cimport answer_function

cdef extern from *:
    """
    #include "accept.h"
    #include "call.h"
    #include "call_queue.h"
    #include "clock.h"
    #include "connection.h"
    #include "event_loop.h"
    #include "servicer.h"
    """
    struct limits:
        size_t message_bytes
        size_t header_bytes
        size_t connection_bytes
        size_t total_bytes
        unsigned int concurrent_streams
        int connections
        double header_seconds
        double idle_seconds
        double keepalive_seconds
        double connection_age_seconds

    struct counts:
        uint64_t answered
        uint64_t declined
        uint64_t refused
        uint64_t connections
        uint64_t dropped_connections
        uint64_t failed_handshakes

    struct streaming:
        pass

    struct call:
        uint64_t queued
        loop* loop
        streaming* streaming
        int encoding
        size_t path_size
        char* path
        buffer authorization
        buffer certificate
        int position
        buffer body
        buffer response

    struct queue:
        pass

    struct loop:
        void* face
        const char* unary
        counts counts
        int connection_count
        size_t held
        const char* tls_fault

    ctypedef struct tls_context:
        pass

    const char* h2_load "gnomon_h2_load"() nogil
    const char* tls_load "gnomon_tls_load"() nogil
    tls_context* tls_context_new "gnomon_tls_context_new"(
        const char*, const char*, const char*, const char*, char*, size_t
    ) nogil
    void tls_context_share "gnomon_tls_context_share"(tls_context*) nogil
    void tls_context_free "gnomon_tls_context_free"(tls_context*) nogil
    void loop_use_tls "gnomon_loop_use_tls"(loop*, tls_context*) nogil
    loop* loop_new "gnomon_loop_new"(
        int, const limits*, queue*, const char*, answer_function, void*
    ) nogil
    void loop_join "gnomon_loop_join"(loop*, loop*) nogil
    void loop_free "gnomon_loop_free"(loop*) nogil
    void loop_run "gnomon_loop_run"(loop*) nogil
    uint64_t monotonic_nanoseconds "gnomon_monotonic_nanoseconds"() nogil
    void loop_drain "gnomon_loop_drain"(loop*, uint64_t) nogil
    int queue_init "gnomon_queue_init"(queue*, int) nogil
    void queue_destroy "gnomon_queue_destroy"(queue*) nogil
    call* queue_take "gnomon_queue_take"(queue*) nogil
    void queue_give_back "gnomon_queue_give_back"(call*) nogil
    void queue_join "gnomon_queue_join"(queue*) nogil
    void queue_leave "gnomon_queue_leave"(queue*) nogil
    int call_add_trailer "gnomon_call_add_trailer"(
        call*, const char*, size_t, const char*, size_t
    ) nogil

    enum sent:
        SENT
        SENT_TO_NOBODY
        SENT_TOO_MUCH
        SENT_NO_MEMORY

    enum:
        TRAILERS_LIMIT

    sent servicer_send "gnomon_servicer_send"(call*, const uint8_t*, size_t) nogil
    int servicer_is_over "gnomon_servicer_is_over"(call*) nogil
    void servicer_give_turn "gnomon_servicer_give_turn"(call*) nogil
    int servicer_claim "gnomon_servicer_claim"(call*) nogil
    void servicer_leave "gnomon_servicer_leave"(call*, int) nogil
