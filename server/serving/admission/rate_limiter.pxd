# How many requests each caller has sent for each model, counted without the GIL.

cimport cython
from libc.stdint cimport int64_t, uint64_t

# Which limit is reached.
cdef enum Reached:
    REACHED_NONE = 0
    REACHED_RATE = 1
    REACHED_CONCURRENT = 2
    REACHED_TOTAL = 3

ctypedef struct Bucket:
    uint64_t pair
    # The theoretical arrival time of the next request, were they to keep their rate.
    double due
    int under_way
    bint is_used


cdef class RateLimiter:
    cdef cython.pymutex guard
    cdef readonly double rate
    cdef readonly int burst
    cdef readonly int concurrent
    cdef readonly int total
    cdef double _interval
    cdef bint _has_pairs
    cdef readonly int64_t under_way
    cdef readonly uint64_t refused
    cdef Bucket* _buckets
    cdef size_t _mask
    cdef size_t _used
    cdef size_t _limit

    # `caller` and `model` are the hashes of their names; `now` in seconds of one clock. Where a
    # limit is reached, `wait` says for how many seconds.
    cdef Reached enter(
        self, uint64_t caller, uint64_t model, double now, double* wait
    ) noexcept nogil
    # The end of a call that was let in.
    cdef void leave(self, uint64_t caller, uint64_t model) noexcept nogil
    # Take back that a call was let in.
    cdef void undo(self, uint64_t caller, uint64_t model) noexcept nogil
    cdef void count_refused(self) noexcept nogil
    cdef Reached _enter(self, uint64_t pair, double now, double* wait) noexcept nogil
    cdef void _leave(self, uint64_t pair, double taken) noexcept nogil
    cdef Bucket* _find(self, uint64_t pair) noexcept nogil
    cdef Bucket* _add(self, uint64_t pair, double now) noexcept nogil
    cdef bint _rebuild(self, double now) noexcept nogil


cdef inline uint64_t pair_of(uint64_t caller, uint64_t model) noexcept nogil:
    """Join two hashes that are already good."""
    cdef uint64_t joined = (caller ^ (model << 31 | model >> 33)) * 0x9E3779B97F4A7C15u
    return joined ^ (joined >> 32)
