# ONNX Runtime's C interface: the session, and how a native frontend runs it without the GIL.
#
# enter(); fill one TensorView an input; run(); view() each value and copy; release(); leave().

cimport cython

from gnomon.runtime.engines.ort_values cimport TensorView


cdef class Session:
    cdef void* handle
    cdef void* options
    cdef list _kept
    cdef const char** input_names
    cdef const char** output_names
    cdef int* input_types
    # As `input_types`, in the order of `outputs`.
    cdef int* output_types
    cdef readonly Py_ssize_t input_count
    cdef readonly Py_ssize_t output_count
    cdef readonly tuple inputs
    cdef readonly tuple outputs
    cdef readonly tuple gives
    cdef cython.pymutex guard
    cdef int running
    cdef bint closing

    # False if the session is closed; each True needs one leave().
    cdef bint enter(self) noexcept nogil
    cdef void leave(self) noexcept nogil
    # Runs on `input_count` tensors; fills `output_count` values. NULL, or a status to read and
    # release with status_text(). Allowed between enter() and leave() only.
    cdef void* run_views(self, const TensorView* tensors, void** values) noexcept nogil
    # The same on values that were made before; an output that is not NULL is written into.
    cdef void* run_values(self, void** arguments, void** values) noexcept nogil

    cdef _read_signature(self, outputs)
    cdef _describe(self, bint is_input, Py_ssize_t index, int* element_type)
    cdef void _free(self) noexcept nogil
