# The counts of one side of a window. Nothing here locks: the window does.

from libc.stdint cimport int64_t, uint8_t

from gnomon.core.row cimport Columns


cdef class CountingPlan:
    cdef readonly object layout
    cdef object _records, _slots, _pairs, _edges, _keys


cdef class SideCounter:
    cdef void* side
    cdef readonly object reference
    cdef readonly object layout
    cdef readonly object counts
    cdef readonly object extremes
    cdef readonly Py_ssize_t fields
    cdef CountingPlan _plan
    cdef object _waiting, _stage, _gaps

    cdef void add_row(self, const double* values, const uint8_t* status) noexcept nogil
    cdef void add_columns(self, Columns columns) noexcept nogil
    cdef void copy_to(self, int64_t* counts, double* extremes) noexcept nogil
    cdef void absorb(self, const int64_t* counts, const double* extremes) noexcept nogil
    cdef void wipe(self) noexcept nogil
