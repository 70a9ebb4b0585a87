"""Checked rows: `Row` is one reusable row, `Columns` are many rows as typed buffers."""

from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.math cimport NAN, isnan
from libc.stdint cimport (
    int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t,
)

import numpy as np

__all__ = ["Columns", "Row"]

cdef dict COLUMN_TYPES = {
    "bool": COLUMN_BOOL,
    "int8": COLUMN_INT8,
    "int16": COLUMN_INT16,
    "int32": COLUMN_INT32,
    "int64": COLUMN_INT64,
    "uint8": COLUMN_UINT8,
    "uint16": COLUMN_UINT16,
    "uint32": COLUMN_UINT32,
    "uint64": COLUMN_UINT64,
    "float32": COLUMN_FLOAT32,
    "float64": COLUMN_FLOAT64,
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
        status = self._statuses[index]
        if len(array) != self.rows or not array.flags.c_contiguous or not array.dtype.isnative:
            raise ValueError(
                f"column {index} must be contiguous, of native byte order, with {self.rows} rows"
            )
        column_type = COLUMN_TYPES.get(array.dtype.name)
        if array.ndim > 1 and array.dtype == np.float32:
            column_type = COLUMN_VECTOR
        if is_code:
            column_type = COLUMN_CODE if column_type == COLUMN_INT32 else None
        if column_type is None or (array.ndim > 1 and column_type != COLUMN_VECTOR):
            raise ValueError(f"column {index} cannot be {array.ndim}-dimensional {array.dtype}")
        cdef Column* column = &self.columns[index]
        column.data = <const void*><uintptr_t>array.ctypes.data
        column.type = <ColumnType><int>column_type
        column.width = int(np.prod(array.shape[1:]))
        if status is None:
            return
        if status.shape != (self.rows,) or status.dtype != np.uint8:
            raise ValueError(f"status {index} must be uint8 with {self.rows} rows")
        if not status.flags.c_contiguous:
            raise ValueError(f"status {index} must be contiguous")
        column.status = <const uint8_t*><uintptr_t>status.ctypes.data

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
