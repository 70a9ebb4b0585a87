"""Checked rows: `Row` is one reusable row, `Columns` are many rows as typed buffers."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.math cimport NAN, isnan
from libc.stdint cimport (
    int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t,
)

import numpy as np

__all__ = ["Columns", "Row"]

# In the order of ColumnType.
cdef dict COLUMN_TYPES = {
    np.dtype(name): position
    for position, name in enumerate(
        "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float32 float64".split()
    )
}


cdef class Row:
    def __cinit__(self, Py_ssize_t fields, Py_ssize_t vector_size=0, Py_ssize_t conditions=0):
        if fields < 0 or vector_size < 0 or conditions < 0:
            raise ValueError(f"sizes are 0 or more, not {fields}, {vector_size}, {conditions}")
        self.fields = fields
        self.vector_size = vector_size
        self.conditions = conditions
        self.values = np.full(fields, np.nan)
        self.status = np.full(fields, <int>MISSING, dtype=np.uint8)
        self.rules = np.zeros(fields + conditions, dtype=np.uint8)
        self.vectors = np.full(vector_size, np.nan, dtype=np.float32)
        self.value_buffer = <double*><uintptr_t>self.values.ctypes.data
        self.status_buffer = <uint8_t*><uintptr_t>self.status.ctypes.data
        self.rule_buffer = <uint8_t*><uintptr_t>self.rules.ctypes.data
        self.vector_buffer = <float*><uintptr_t>self.vectors.ctypes.data

    def __len__(self):
        return self.fields


cdef class Columns:
    def __cinit__(self, arrays, statuses=None, codes=()):
        self._arrays = tuple(arrays)
        self.fields = len(self._arrays)
        self._statuses = (None,) * self.fields if statuses is None else tuple(statuses)
        if len(self._statuses) != self.fields:
            raise ValueError(f"{len(self._statuses)} statuses for {self.fields} columns")
        self.rows = len(self._arrays[0]) if self.fields else 0
        self.columns = <Column*>PyMem_Calloc(self.fields + 1, sizeof(Column))
        if self.columns == NULL:
            raise MemoryError
        for index in range(self.fields):
            self._attach(index, index in codes)

    def __dealloc__(self):
        PyMem_Free(self.columns)

    cdef _attach(self, Py_ssize_t index, bint is_code):
        array = self._arrays[index]
        cdef Column* column = &self.columns[index]
        cdef tuple shape = array.shape
        if shape[0] != self.rows:
            raise ValueError(f"column {index} has {shape[0]} rows, but others have {self.rows}")
        column.data = address(array, index)
        column.type = column_type(array.dtype, len(shape), is_code, index)
        column.width = 1
        for size in shape[1:]:
            column.width *= <Py_ssize_t>size
        status = self._statuses[index]
        if status is None:
            return
        if status.shape != (self.rows,) or status.dtype != np.uint8:
            raise ValueError(f"status {index} must be uint8 with {self.rows} rows")
        column.status = <const uint8_t*>address(status, index)

    def __len__(self):
        return self.rows

    def array(self, Py_ssize_t field):
        return self._arrays[field]

    def mask(self, Py_ssize_t field):
        return self._statuses[field]

    def values(self, Py_ssize_t field):
        self._guard(field)
        result = np.empty(self.rows)
        cdef double[::1] view = result
        cdef Py_ssize_t row
        for row in range(self.rows):
            view[row] = column_value(&self.columns[field], row)
        return result

    def status(self, Py_ssize_t field):
        self._guard(field)
        result = np.empty(self.rows, dtype=np.uint8)
        cdef uint8_t[::1] view = result
        cdef Py_ssize_t row
        for row in range(self.rows):
            view[row] = column_status(&self.columns[field], row)
        return result

    cdef _guard(self, Py_ssize_t field):
        if not 0 <= field < self.fields:
            raise IndexError(f"field {field} of {self.fields}")


cdef const void* address(array, Py_ssize_t index) except? NULL:
    """Return the address of a contiguous array; the caller keeps the array alive."""
    cdef Py_buffer buffer
    if not array.flags.c_contiguous or not array.dtype.isnative:
        raise ValueError(f"column {index} must be contiguous and of native byte order")
    PyObject_GetBuffer(array, &buffer, PyBUF_SIMPLE)
    cdef const void* data = buffer.buf
    PyBuffer_Release(&buffer)
    return data


cdef ColumnType column_type(dtype, Py_ssize_t dimensions, bint is_code, Py_ssize_t index) except *:
    found = COLUMN_TYPES.get(dtype)
    if dimensions > 1:
        found = COLUMN_VECTOR if found == COLUMN_FLOAT32 else None
    if is_code:
        found = COLUMN_CODE if found == COLUMN_INT32 else None
    if found is None:
        raise ValueError(f"column {index} cannot be {dimensions}-dimensional {dtype}")
    return <ColumnType><int>found


cdef double column_value(const Column* column, Py_ssize_t row) noexcept nogil:
    """Return the number that a Row would hold; NaN for missing and for vectors."""
    cdef int32_t code
    if column.type == COLUMN_FLOAT64:
        return (<const double*>column.data)[row]
    if column.type == COLUMN_FLOAT32:
        return (<const float*>column.data)[row]
    if column.type == COLUMN_CODE:
        code = (<const int32_t*>column.data)[row]
        return NAN if code == MISSING_CODE else code
    if column.type == COLUMN_VECTOR:
        return NAN
    return integer_value(column, row)


cdef double integer_value(const Column* column, Py_ssize_t row) noexcept nogil:
    cdef ColumnType kind = column.type
    cdef double value
    if kind == COLUMN_BOOL or kind == COLUMN_UINT8:
        value = (<const uint8_t*>column.data)[row]
    elif kind == COLUMN_INT8:
        value = (<const int8_t*>column.data)[row]
    elif kind == COLUMN_INT16:
        value = (<const int16_t*>column.data)[row]
    elif kind == COLUMN_INT32:
        value = (<const int32_t*>column.data)[row]
    elif kind == COLUMN_INT64:
        value = <double>(<const int64_t*>column.data)[row]
    elif kind == COLUMN_UINT16:
        value = (<const uint16_t*>column.data)[row]
    elif kind == COLUMN_UINT32:
        value = (<const uint32_t*>column.data)[row]
    else:
        value = <double>(<const uint64_t*>column.data)[row]
    return value


cdef Status column_status(const Column* column, Py_ssize_t row) noexcept nogil:
    """Return what came in at this row."""
    cdef int32_t code
    if column.status != NULL:
        return <Status>column.status[row]
    if column.type == COLUMN_CODE:
        code = (<const int32_t*>column.data)[row]
        if code >= 0:
            return OK
        return MISSING if code == MISSING_CODE else UNSEEN
    if column.type == COLUMN_FLOAT64 or column.type == COLUMN_FLOAT32:
        return MISSING if isnan(column_value(column, row)) else OK
    return OK
