"""The loops of packing: features of one tensor, for one row or for columns."""

from libc.math cimport isnan
from libc.stdint cimport int32_t, int64_t, uintptr_t

from gnomon.core.row cimport COLUMN_VECTOR, Column, Columns, Row, column_value

import numpy as np

__all__ = ["TensorPacker"]

FEATURE = np.dtype(
    [
        ("field", "i4"), ("encoding", "i4"), ("start", "i4"), ("width", "i4"),
        ("vector_offset", "i4"), ("reserved", "i4"), ("missing", "f8"),
    ]
)


cdef class TensorPacker:
    def __cinit__(self, features, TensorType type, Py_ssize_t width):
        self._features = np.array(features, dtype=FEATURE)
        self.plan.features = <const FeaturePlan*><uintptr_t>self._features.ctypes.data
        self.plan.feature_count = len(self._features)
        self.plan.width = self.width = width
        self.plan.type = type
        self.fields = 1 + int(self._features["field"].max(initial=-1))
        vectors = self._features[self._features["encoding"] == ENCODE_VECTOR]
        self.vector_size = int((vectors["vector_offset"] + vectors["width"]).max(initial=0))
        ends = self._features["start"] + self._features["width"]
        if (self._features["start"] < 0).any() or (ends > width).any():
            raise ValueError(f"features reach beyond the tensor's {width} columns")

    def pack_row(self, Row row not None, array):
        if row.fields < self.fields or row.vector_size < self.vector_size:
            raise ValueError("the row was made by another contract than the packing")
        self._guard(array, 1)
        pack_row(
            &self.plan, row.value_buffer, row.vector_buffer, <void*><uintptr_t>array.ctypes.data
        )

    def pack_columns(self, Columns columns not None, array):
        if columns.fields < self.fields:
            raise ValueError("the columns were made by another contract than the packing")
        self._guard(array, columns.rows)
        cdef void* out = <void*><uintptr_t>array.ctypes.data
        cdef const FeaturePlan* feature
        cdef Py_ssize_t index
        for index in range(self.plan.feature_count):
            feature = &self.plan.features[index]
            if feature.encoding == ENCODE_VECTOR and (
                columns.columns[feature.field].type != COLUMN_VECTOR
                or columns.columns[feature.field].width != feature.width
            ):
                raise ValueError(f"field {feature.field} has no vectors of {feature.width}")
            with nogil:
                pack_feature(
                    &self.plan, feature, &columns.columns[feature.field], columns.rows, out
                )

    cdef _guard(self, array, Py_ssize_t rows):
        dtypes = (np.float32, np.float64, np.int32, np.int64)
        good = array.shape == (rows, self.width) and array.dtype == dtypes[self.plan.type]
        if not good or not array.flags.c_contiguous or not array.flags.writeable:
            raise ValueError(f"the tensor must be contiguous, of shape {(rows, self.width)}")


cdef inline void write(
    TensorType type, void* out, Py_ssize_t index, double value
) noexcept nogil:
    if type == TENSOR_FLOAT32:
        (<float*>out)[index] = <float>value
    elif type == TENSOR_FLOAT64:
        (<double*>out)[index] = value
    elif type == TENSOR_INT32:
        (<int32_t*>out)[index] = <int32_t>value
    else:
        (<int64_t*>out)[index] = <int64_t>value


cdef inline bint holds(TensorType type, double value) noexcept nogil:
    """Whether the tensor can hold a number exactly; no integer tensor holds NaN.

    A tensor of floats holds any number, rounded.
    """
    if type == TENSOR_INT32:
        return -2147483648.0 <= value <= 2147483647.0 and value == <double><int32_t>value
    if type == TENSOR_INT64:
        return (
            -9223372036854775808.0 <= value < 9223372036854775808.0
            and value == <double><int64_t>value
        )
    return not isnan(value)


cdef inline void write_scalar(
    const TensorPlan* tensor, const FeaturePlan* feature, double value, void* out, Py_ssize_t base
) noexcept nogil:
    """Write one field's number at element `base` of a row of the tensor."""
    cdef Py_ssize_t code
    if feature.encoding == ENCODE_ONEHOT:
        for code in range(feature.width):
            write(tensor.type, out, base + code, 1.0 if value == code else 0.0)
    elif not holds(tensor.type, value) or (feature.encoding == ENCODE_CODE and value < 0):
        write(tensor.type, out, base, feature.missing)
    else:
        write(tensor.type, out, base, value)


cdef inline void write_vector(
    const TensorPlan* tensor,
    const FeaturePlan* feature,
    const float* elements,
    void* out,
    Py_ssize_t base,
) noexcept nogil:
    cdef Py_ssize_t index
    for index in range(feature.width):
        if isnan(elements[index]):
            write(tensor.type, out, base + index, feature.missing)
        else:
            write(tensor.type, out, base + index, elements[index])


cdef void pack_row(
    const TensorPlan* tensor, const double* values, const float* vectors, void* out
) noexcept nogil:
    """Write one row of the tensor; `out` has room for its width."""
    cdef Py_ssize_t index
    cdef const FeaturePlan* feature
    for index in range(tensor.feature_count):
        feature = &tensor.features[index]
        if feature.encoding == ENCODE_VECTOR:
            write_vector(tensor, feature, vectors + feature.vector_offset, out, feature.start)
        else:
            write_scalar(tensor, feature, values[feature.field], out, feature.start)


cdef void pack_feature(
    const TensorPlan* tensor,
    const FeaturePlan* feature,
    const Column* column,
    Py_ssize_t rows,
    void* out,
) noexcept nogil:
    cdef Py_ssize_t row, base
    cdef const float* elements
    for row in range(rows):
        base = row * tensor.width + feature.start
        if feature.encoding == ENCODE_VECTOR:
            elements = <const float*>column.data + row * feature.width
            write_vector(tensor, feature, elements, out, base)
        else:
            write_scalar(tensor, feature, column_value(column, row), out, base)
