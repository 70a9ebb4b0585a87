# Counts calls into a window of the present without the GIL. A native frontend calls `count`.

cimport cython
from libc.stdint cimport int64_t, uint8_t

from gnomon.core.window.window cimport Window

cdef enum:
    BLOCK_ROWS = 512
    BLOCKS_LIMIT = 512

# Sampled predictions: identities one behind the other, each ending where `ends` says.
ctypedef struct SampleBlock:
    SampleBlock* next
    int count
    Py_ssize_t size
    Py_ssize_t room
    char* text
    Py_ssize_t[BLOCK_ROWS] ends
    double[BLOCK_ROWS] moments
    double[BLOCK_ROWS] values

# `rows` answered rows, side by side: values and status as in Row, one after the other.
ctypedef struct Answered:
    Py_ssize_t rows
    const double* inputs
    const uint8_t* input_status
    Py_ssize_t input_fields
    const double* outputs
    const uint8_t* output_status
    Py_ssize_t output_fields
    int64_t latency_ns
    double moment
    const char* identity
    Py_ssize_t identity_size


cdef class DirectCounter:
    cdef cython.pymutex guard
    cdef Window window
    cdef object _make_window
    cdef int64_t _length
    cdef int _permille
    cdef double _starts, _ends
    cdef int64_t _since_ns
    cdef list _closed
    cdef SampleBlock* _first
    cdef SampleBlock* _last
    cdef int _blocks
    cdef Py_ssize_t _dropped

    # Whether a call of this moment can be counted here.
    cdef bint is_open(self, double moment) noexcept nogil
    # False, and nothing counted, if it cannot.
    cdef bint count(self, const Answered* answered) noexcept nogil
    cdef void _sample(self, const Answered* answered, Py_ssize_t row) noexcept nogil
    cdef SampleBlock* _block(self, Py_ssize_t size) noexcept nogil
    cdef _close_window(self)
