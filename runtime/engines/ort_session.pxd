# ONNX Runtime's C interface: the session, and how a native door runs it without the GIL.
#
# enter(); fill one TensorView an input; run(); view() each value and copy; release(); leave().

cimport cython
from libc.stdint cimport int64_t

cdef enum:
    MAX_RANK = 8

# One dense tensor; `data` belongs to whoever made it. `element_type` is ONNX's number.
ctypedef struct TensorView:
    void* data
    size_t size
    int64_t shape[MAX_RANK]
    size_t rank
    int element_type


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
    cdef cython.pymutex guard
    cdef int running
    cdef bint closing

    # False where the session is closed; each True is paid back by one leave().
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


# A value over a tensor's data, which must outlive it; NULL, or a status.
cdef void* wrap(const TensorView* tensor, void** value) noexcept nogil
# Where the value's data lies and its shape; NULL, or a status.
cdef void* view(void* value, TensorView* tensor) noexcept nogil
cdef void release(void* value) noexcept nogil
cdef str status_text(void* status)
cdef int check(void* status) except -1
# The size of one element by ONNX's number of its type, 0 for what is no number.
cdef size_t element_size(int element_type) noexcept nogil
