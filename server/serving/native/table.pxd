# The table in which a loop finds the lane of a request.

cimport cython
from cpython.ref cimport PyObject
from libc.stdint cimport uint64_t

from gnomon.core.text_table cimport TextTableView
from gnomon.server.serving.native.lane cimport DECLINED_REASONS, StageClock, buffer, request, slice

cdef extern from "exchange.h":
    enum verdict:
        VERDICT_ANSWERED
        VERDICT_DECLINED
        VERDICT_REFUSED

    enum:
        POSITION_NONE

    struct refusal:
        char[256] message
        char[256] details

    struct exchange:
        slice message
        slice authorization
        slice certificate
        buffer* out
        int position
        refusal refusal

    ctypedef verdict (*answer_function)(void*, exchange*)


cdef class Table:
    cdef cython.pymutex guard
    # In the order of the names' codes.
    cdef PyObject** lanes
    cdef TextTableView names
    cdef object _kept
    cdef request* asked
    cdef bytes _prefix
    cdef const char* prefix
    cdef uint64_t counter
    cdef double slow_ns
    cdef uint64_t[DECLINED_REASONS] counts
    cdef StageClock clock

    cdef slice identity(self, char* room, size_t size) noexcept nogil
    cdef verdict answer(self, exchange* exchange) noexcept nogil


# An `answer_function` for a loop; its context is a Table.
cdef verdict table_answer(Table table, exchange* exchange) noexcept nogil
