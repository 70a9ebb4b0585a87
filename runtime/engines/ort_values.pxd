# Tensors as ONNX Runtime's values, and the interface itself once `initialise` was called.

from libc.stdint cimport int64_t

from gnomon.core.packing.loop cimport TENSOR_FLOAT32, TENSOR_FLOAT64, TENSOR_INT32, TensorType

cdef enum:
    MAX_RANK = 8

# ONNX's numbers of the element types that a packing gives.
cdef enum:
    ELEMENT_FLOAT32 = 1
    ELEMENT_INT32 = 6
    ELEMENT_INT64 = 7
    ELEMENT_FLOAT64 = 11

# One dense tensor; `data` belongs to its maker. `element_type` is ONNX's number.
ctypedef struct TensorView:
    void* data
    size_t size
    int64_t shape[MAX_RANK]
    size_t rank
    int element_type

# The table of functions (see ort_api.pxd), the environment, and the default allocator.
cdef void** API
cdef void* ENVIRONMENT
cdef void* ALLOCATOR
# From ONNX's numbers of element types to NumPy's dtypes, and back.
cdef dict DTYPES
cdef dict NUMBERS

# A value over a tensor's data, which must outlive it; NULL, or a status.
cdef void* wrap(const TensorView* tensor, void** value) noexcept nogil
# The address of the value's data and its shape; NULL, or a status.
cdef void* view(void* value, TensorView* tensor) noexcept nogil
cdef void release(void* value) noexcept nogil
# The message of a status, which is released.
cdef str status_text(void* status)
cdef int check(void* status) except -1
# The size of one element by ONNX's number of its type, 0 for what is no number.
cdef size_t element_size(int element_type) noexcept nogil
# Describe an array's buffer, or refuse it by name.
cdef int fill(TensorView* tensor, Py_buffer* buffer, int element_type, str name) except -1
# A value's data as an array of its own.
cdef copy(void* value)


# ONNX's number of the element type of a packed tensor.
cdef inline int packed_element_type(TensorType packed) noexcept nogil:
    if packed == TENSOR_FLOAT32:
        return ELEMENT_FLOAT32
    if packed == TENSOR_FLOAT64:
        return ELEMENT_FLOAT64
    return ELEMENT_INT32 if packed == TENSOR_INT32 else ELEMENT_INT64
