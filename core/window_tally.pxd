# The counts of one side of a window. Nothing here locks: the window does.

from libc.stdint cimport uint8_t

from gnomon.core.row cimport Columns


cdef class Tally:
    cdef void* side
    cdef readonly object reference
    cdef readonly object layout
    cdef readonly object counts
    cdef readonly object extremes
    cdef readonly Py_ssize_t fields
    cdef object _edges, _keys, _stage, _gaps, _records, _pairs, _slots

    cdef void add_row(self, const double* values, const uint8_t* status) noexcept nogil
    cdef void add_columns(self, Columns columns) noexcept nogil
    cdef void copy_to(self, Tally to) noexcept nogil
    cdef void absorb(self, Tally other) noexcept nogil
    cdef void wipe(self) noexcept nogil
