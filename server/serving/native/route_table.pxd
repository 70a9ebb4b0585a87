# The table in which a loop finds what answers a request, after admission.

cimport cython
from libc.stdint cimport uint64_t

from gnomon.core.string_index cimport StringIndexView
from gnomon.server.serving.admission.credential_cache cimport CredentialCache, Principal
from gnomon.server.serving.admission.rate_limiter cimport RateLimiter
from gnomon.server.serving.native.buffer cimport slice
from gnomon.server.serving.native.exchange cimport exchange, verdict
from gnomon.server.serving.native.stages cimport StageClock
from gnomon.server.serving.native.target cimport DECLINED_REASONS, Declined, RequestContext
from gnomon.server.serving.native.message cimport request
from gnomon.server.serving.native.route cimport RoutePlan
from gnomon.server.serving.native.shadow_queue cimport NativeShadowQueue


cdef class NativeRouteTable:
    cdef cython.pymutex guard
    # In the order of the names' codes.
    cdef const RoutePlan** routes
    cdef StringIndexView names
    cdef object _kept
    cdef request* message
    cdef bytes _prefix
    cdef const char* prefix
    cdef uint64_t counter
    cdef uint64_t chance
    cdef double slow_ns
    cdef uint64_t[DECLINED_REASONS] counts
    cdef StageClock clock
    cdef CredentialCache credentials
    cdef RateLimiter limiter
    cdef bint _asks_who
    cdef bint _has_limits
    # The caller of all requests, if no credentials are required.
    cdef Principal _anyone
    cdef double _next_report_at
    cdef NativeShadowQueue shadows

    cdef slice identity(self, char* room, size_t size) noexcept nogil
    cdef verdict answer(self, exchange* exchange) noexcept nogil
    cdef Declined admit(
        self, const RoutePlan* route, RequestContext* context, exchange* exchange
    ) noexcept nogil
    cdef Declined refuse(
        self, const RoutePlan* route, const Principal* principal, int reached, double wait,
        double now, exchange* exchange
    ) noexcept nogil
    cdef Declined serve_route(
        self, const RoutePlan* route, const Principal* principal, RequestContext* context,
        exchange* exchange
    ) noexcept nogil


# An `answer_function` for a loop; its context is a NativeRouteTable.
cdef verdict table_answer(NativeRouteTable table, exchange* exchange) noexcept nogil
