"""Tensors as ONNX Runtime's values: wrapped, viewed and copied through its C interface."""

from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uintptr_t
from libc.string cimport memcpy

from gnomon.runtime.engines.ort_api cimport (
    Base, CREATE_CPU_MEMORY_INFO, CREATE_ENV, CREATE_TENSOR_WITH_DATA, Count, DEFAULT_MEMORY,
    DEVICE_ALLOCATOR, Derive, GET_DEFAULT_ALLOCATOR, GET_DIMENSIONS, GET_DIMENSIONS_COUNT,
    GET_ELEMENT_COUNT, GET_ERROR_MESSAGE, GET_TENSOR_ELEMENT_TYPE, GET_TENSOR_MUTABLE_DATA,
    GET_TENSOR_TYPE_AND_SHAPE, GetBase, INTERFACE_VERSION, LOG_ERRORS, Make, MakeEnvironment,
    MakeMemoryInfo, MakeTensor, RELEASE_SHAPE, RELEASE_STATUS, RELEASE_VALUE, ReadNumber,
    ReadShape, Release, ToText,
)

import numpy as np

__all__ = ["SessionClosed", "SessionError", "initialise"]

API = NULL
ENVIRONMENT = NULL
ALLOCATOR = NULL
cdef void* MEMORY = NULL

# ONNX's numbers of element types: NumPy dtype, and the size of one element.
DTYPES = {
    1: np.dtype(np.float32), 2: np.dtype(np.uint8), 3: np.dtype(np.int8), 4: np.dtype(np.uint16),
    5: np.dtype(np.int16), 6: np.dtype(np.int32), 7: np.dtype(np.int64), 9: np.dtype(np.bool_),
    10: np.dtype(np.float16), 11: np.dtype(np.float64), 12: np.dtype(np.uint32),
    13: np.dtype(np.uint64),
}
NUMBERS = {dtype: number for number, dtype in DTYPES.items()}
cdef size_t[14] ELEMENT_SIZES = [0, 4, 1, 1, 2, 2, 4, 8, 0, 1, 2, 8, 4, 8]


class SessionError(Exception):
    """ONNX Runtime said no; the message is its own."""


class SessionClosed(SessionError):
    """The session was closed before the call."""


def initialise(uintptr_t get_base):
    """Take the library's `OrtGetApiBase` into use, once a process; return its version."""
    global API, ENVIRONMENT, MEMORY, ALLOCATOR
    cdef const Base* base = (<GetBase><void*>get_base)()
    if API == NULL:
        API = base.get_table(INTERFACE_VERSION)
        if API == NULL:
            raise SessionError(f"the library has no interface of version {INTERFACE_VERSION}")
        check((<MakeEnvironment>API[CREATE_ENV])(LOG_ERRORS, b"gnomon", &ENVIRONMENT))
        check((<MakeMemoryInfo>API[CREATE_CPU_MEMORY_INFO])(
            DEVICE_ALLOCATOR, DEFAULT_MEMORY, &MEMORY
        ))
        check((<Make>API[GET_DEFAULT_ALLOCATOR])(&ALLOCATOR))
    return base.get_version().decode()


cdef str status_text(void* status):
    """Return the message of a status and release it."""
    cdef str text = (<ToText>API[GET_ERROR_MESSAGE])(status).decode(errors="replace")
    (<Release>API[RELEASE_STATUS])(status)
    return text


cdef int check(void* status) except -1:
    if status != NULL:
        raise SessionError(status_text(status))
    return 0


cdef void release(void* value) noexcept nogil:
    if value != NULL:
        (<Release>API[RELEASE_VALUE])(value)


cdef void* wrap(const TensorView* tensor, void** value) noexcept nogil:
    return (<MakeTensor>API[CREATE_TENSOR_WITH_DATA])(
        MEMORY, tensor.data, tensor.size, tensor.shape, tensor.rank, tensor.element_type, value
    )


cdef size_t element_size(int element_type) noexcept nogil:
    return ELEMENT_SIZES[element_type] if 0 <= element_type < 14 else 0


cdef void* view(void* value, TensorView* tensor) noexcept nogil:
    cdef void* info = NULL
    cdef size_t elements = 0
    cdef void* status = (<Derive>API[GET_TENSOR_TYPE_AND_SHAPE])(value, &info)
    if status != NULL:
        return status
    status = (<ReadNumber>API[GET_TENSOR_ELEMENT_TYPE])(info, &tensor.element_type)
    if status == NULL:
        status = (<Count>API[GET_ELEMENT_COUNT])(info, &elements)
    if status == NULL:
        status = (<Count>API[GET_DIMENSIONS_COUNT])(info, &tensor.rank)
    if status == NULL:
        # A rank above MAX_RANK leaves the rest out; the caller sees it by `rank`.
        status = (<ReadShape>API[GET_DIMENSIONS])(
            info, tensor.shape, min(tensor.rank, <size_t>MAX_RANK)
        )
    (<Release>API[RELEASE_SHAPE])(info)
    if status == NULL:
        tensor.size = elements * element_size(tensor.element_type)
        status = (<Derive>API[GET_TENSOR_MUTABLE_DATA])(value, &tensor.data)
    return status


cdef int fill(TensorView* tensor, Py_buffer* buffer, int element_type, str name) except -1:
    """Describe an array's buffer, or refuse it by name."""
    if number_of(buffer) != element_type:
        raise SessionError(
            f"tensor {name!r} has elements {buffer.format.decode()!r} of {buffer.itemsize} bytes, "
            f"expected {DTYPES.get(element_type)}"
        )
    if buffer.ndim > MAX_RANK:
        raise SessionError(f"tensor {name!r} has {buffer.ndim} dimensions, at most {MAX_RANK}")
    tensor.data = buffer.buf
    tensor.size = buffer.len
    tensor.rank = buffer.ndim
    tensor.element_type = element_type
    for axis in range(buffer.ndim):
        tensor.shape[axis] = buffer.shape[axis]
    return 0


cdef int number_of(const Py_buffer* buffer) noexcept nogil:
    """Return ONNX's number of a buffer's element type, 0 if it has none."""
    cdef char letter = buffer.format[0]
    cdef Py_ssize_t size = buffer.itemsize
    if buffer.format[1] != 0:
        return 0
    if letter == c"f":
        return 1
    if letter == c"d":
        return 11
    if letter == c"?":
        return 9
    if letter == c"e":
        return 10
    if letter in (c"b", c"h", c"i", c"l", c"q"):
        return 3 if size == 1 else 5 if size == 2 else 6 if size == 4 else 7
    if letter in (c"B", c"H", c"I", c"L", c"Q"):
        return 2 if size == 1 else 4 if size == 2 else 12 if size == 4 else 13
    return 0


cdef copy(void* value):
    """Return a value's data as an array of its own."""
    cdef TensorView tensor
    cdef Py_buffer buffer
    check(view(value, &tensor))
    if tensor.rank > MAX_RANK or tensor.element_type not in DTYPES:
        raise SessionError(f"an output has {tensor.rank} dimensions or no numbers")
    shape = tuple([tensor.shape[axis] for axis in range(<Py_ssize_t>tensor.rank)])
    array = np.empty(shape, DTYPES[tensor.element_type])
    PyObject_GetBuffer(array, &buffer, PyBUF_WRITABLE)
    memcpy(buffer.buf, tensor.data, tensor.size)
    PyBuffer_Release(&buffer)
    return array
