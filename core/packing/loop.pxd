# From a checked row or checked columns to the tensors of an engine, without Python.

from libc.stdint cimport int32_t

cdef enum TensorType:
    TENSOR_FLOAT32 = 0
    TENSOR_FLOAT64 = 1
    TENSOR_INT32 = 2
    TENSOR_INT64 = 3

cdef enum Encoding:
    ENCODE_VALUE = 0
    ENCODE_CODE = 1
    ENCODE_ONEHOT = 2
    ENCODE_VECTOR = 3

ctypedef struct FeaturePlan:
    int32_t field
    int32_t encoding
    # The first of the tensor's columns that it fills, and how many.
    int32_t start
    int32_t width
    # The offset of a vector's elements in Row.vector_buffer.
    int32_t vector_offset
    int32_t reserved
    # What stands for a value that is missing or, as a code, not known.
    double missing

ctypedef struct TensorPlan:
    const FeaturePlan* features
    Py_ssize_t feature_count
    Py_ssize_t width
    TensorType type


cdef class TensorPacker:
    cdef TensorPlan plan
    cdef object _features
    cdef readonly Py_ssize_t width
    cdef readonly Py_ssize_t fields
    cdef readonly Py_ssize_t vector_size
    cdef _guard(self, array, Py_ssize_t rows)


cdef void pack_row(
    const TensorPlan* tensor, const double* values, const float* vectors, void* out
) noexcept nogil
