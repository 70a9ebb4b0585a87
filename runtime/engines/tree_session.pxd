# A model of trees as native code runs it.

from gnomon.core.trees.model cimport TreeModel
from gnomon.runtime.engines.engine_session cimport EngineSession
from gnomon.runtime.engines.ort_values cimport TensorView


cdef class TreeSession(EngineSession):
    cdef TreeModel model
    # By output: whether it is the raw scores, and how many numbers it has for each row.
    cdef bint[2] is_raw
    cdef Py_ssize_t[2] widths
    cdef readonly tuple gives

    cdef void _write_all(
        self, bint raw, double* scores, const TensorView* views, Py_ssize_t done, Py_ssize_t count
    ) noexcept nogil
    cdef void _write(
        self, Py_ssize_t output, double* scores, Py_ssize_t rows, char* target
    ) noexcept nogil
