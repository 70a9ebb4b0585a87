# How long each stage of a request takes, timed for one request of many.

from libc.stdint cimport int64_t, uint64_t
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

# Stages of a request; each ends where the next begins.
cdef enum Stage:
    STAGE_READ = 0
    STAGE_CHECK_INPUTS = 1
    STAGE_RUN = 2
    STAGE_CHECK_OUTPUTS = 3
    STAGE_WRITE = 4
    STAGE_COUNT = 5
    STAGES = 6

cdef enum:
    # One request of so many is timed stage by stage; a prime, in step with no block of a window.
    TIMED_OF = 61

ctypedef struct StageClock:
    uint64_t seen
    uint64_t timed
    int64_t[STAGES] stage_ns
    int64_t last_ns
    bint is_timed


cdef inline int64_t monotonic_ns() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <int64_t>now.tv_sec * 1000000000 + now.tv_nsec


cdef inline void stage_ended(StageClock* clock, Stage stage) noexcept nogil:
    cdef int64_t now
    if clock.is_timed:
        now = monotonic_ns()
        clock.stage_ns[<int>stage] += now - clock.last_ns
        clock.last_ns = now
        clock.timed += stage == STAGE_COUNT
