# What native code calls without the GIL. Each call takes the window's lock.

cimport cython
from libc.stdint cimport int64_t, uint8_t

from gnomon.core.row cimport Columns
from gnomon.core.cells.side_counter cimport SideCounter

cdef enum Outcome:
    ANSWERED = 0
    REFUSED = 1
    FAILED = 2
    FALLBACK = 3
    OUTCOMES = 4


cdef class WindowSnapshot:
    cdef int64_t* service_counts
    cdef int64_t* input_counts
    cdef int64_t* output_counts
    cdef double* input_extremes
    cdef double* output_extremes
    cdef readonly object service
    cdef readonly list sides


cdef class Window:
    cdef cython.pymutex lock
    cdef SideCounter _inputs
    # None if the package has no reference of its outputs.
    cdef SideCounter _outputs
    cdef bint _has_outputs
    # Calls by outcome, rows by outcome, then the latency's buckets, then violations by rule.
    cdef int64_t* _service_counts
    cdef object _service
    cdef size_t _service_bytes
    cdef readonly Py_ssize_t rules

    cdef WindowSnapshot _snapshot(self, bint wipe)
    cdef Window _window_of(self, WindowSnapshot snapshot)
    cdef void _add(self, WindowSnapshot snapshot) noexcept nogil
    cdef void _wipe(self) noexcept nogil


# `values` and `status` have one entry a field of the reference, as in Row.
cdef void window_update_row(
    Window window, const double* values, const uint8_t* status) noexcept nogil
cdef void window_update_output_row(
    Window window, const double* values, const uint8_t* status) noexcept nogil
# `columns` must have as many columns as the reference has fields.
cdef void window_update_columns(Window window, Columns columns) noexcept nogil
cdef void window_update_output_columns(Window window, Columns columns) noexcept nogil
cdef void window_observe(
    Window window, Outcome outcome, int64_t latency_ns, int64_t rows) noexcept nogil
# `rule` must be less than window.rules.
cdef void window_count_violation(Window window, int rule, int64_t count) noexcept nogil
