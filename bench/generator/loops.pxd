# The C interface of the load generator and of the honest server.

from libc.stdint cimport int16_t, int32_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from *:
    """
    #include "load.h"
    #include "honest.h"
    """
    struct slice:
        const uint8_t* data
        size_t size

    struct buffer:
        uint8_t* data
        size_t size

    ctypedef struct h2_header:
        uint8_t* name
        uint8_t* value
        size_t name_size
        size_t value_size
        uint8_t flags

    struct sockaddr_storage:
        pass

    enum:
        H2_NO_COPY
        HISTOGRAM_CELLS
        HONEST_BODY_LIMIT
        LOAD_HEADERS
        LOAD_OUTCOMES
        LOAD_STATUSES

    const char* h2_table_load "gnomon_h2_table_load"() nogil
    uint32_t histogram_cell(uint64_t) nogil

    struct load_row:
        slice request
        slice expected

    struct load_settings:
        int protocol
        sockaddr_storage address
        unsigned int address_size
        size_t connections
        size_t streams
        const uint64_t* dues
        size_t due_count
        uint64_t warm_up
        uint64_t measured
        uint64_t timeout
        uint64_t patience
        uint64_t spin
        uint64_t slot
        size_t slot_count
        size_t log_room
        h2_header* headers
        size_t header_count

    struct load_record:
        uint64_t due

    struct load_kept:
        uint32_t row
        buffer body

    struct load_slot:
        uint64_t* outcomes
        uint32_t* latency

    struct load:
        int ended_early
        int error
        uint64_t reconnects
        uint64_t waited
        uint64_t finished
        uint64_t cpu
        uint64_t* outcomes
        uint64_t* statuses
        uint64_t* latency
        uint64_t* service
        uint64_t* lateness
        load_slot* slots
        load_record* log
        size_t log_size
        load_kept* kept
        size_t kept_size

    load* load_new "gnomon_load_new"(const load_settings*, const load_row*, size_t) nogil
    void load_run "gnomon_load_run"(load*) nogil
    void load_stop "gnomon_load_stop"(load*) nogil
    void load_free "gnomon_load_free"(load*) nogil

    struct honest_law:
        int kind
        double scale
        double sigma
        uint64_t period
        uint64_t stall
        uint64_t workers
        uint64_t random

    struct honest_answer:
        slice path
        slice body
        int is_grpc
        int is_delayed

    struct honest:
        uint64_t answered
        uint64_t* lateness

    uint64_t honest_working "gnomon_honest_working"(const honest_law*, uint64_t) nogil
    uint64_t honest_elapsed "gnomon_honest_elapsed"(const honest_law*, uint64_t) nogil
    honest* honest_new "gnomon_honest_new"(
        int, const honest_law*, const honest_answer*, size_t
    ) nogil
    void honest_run "gnomon_honest_run"(honest*) nogil
    void honest_stop "gnomon_honest_stop"(honest*) nogil
    void honest_free "gnomon_honest_free"(honest*) nogil
