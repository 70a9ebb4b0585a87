# The result of a contract: one row, or many rows in columns.
#
# `status` describes the value that came in, `values` holds the value that is passed on. So a
# clipped value is INVALID with the bound as its value, and an imputed one is MISSING (or INVALID)
# with the imputed value. A column of whole numbers or bools that holds missing values comes as
# COLUMN_FLOAT64 with NaN.

from libc.stdint cimport uint8_t

cdef enum Status:
    OK = 0
    MISSING = 1
    INVALID = 2
    # A text that is not in the field's `allowed` list; its code is UNSEEN_CODE.
    UNSEEN = 3

cdef enum:
    MISSING_CODE = -1
    UNSEEN_CODE = -2

cdef enum ColumnType:
    COLUMN_BOOL = 0
    COLUMN_INT8 = 1
    COLUMN_INT16 = 2
    COLUMN_INT32 = 3
    COLUMN_INT64 = 4
    COLUMN_UINT8 = 5
    COLUMN_UINT16 = 6
    COLUMN_UINT32 = 7
    COLUMN_UINT64 = 8
    COLUMN_FLOAT32 = 9
    COLUMN_FLOAT64 = 10
    # int32: a category's code, or the length of a free text; MISSING_CODE, UNSEEN_CODE.
    COLUMN_CODE = 11
    # float32, `width` elements a row.
    COLUMN_VECTOR = 12


cdef class Row:
    # One number a field: NaN if missing or not a number, the code of a category
    # (UNSEEN_CODE if unknown), the length of a free text; vectors are in vector_buffer.
    cdef double* value_buffer
    cdef uint8_t* status_buffer
    # The code of the first rule that each field broke, 0 if none; then one byte for each
    # condition over several fields.
    cdef uint8_t* rule_buffer
    # The elements of all vector fields, one field after the other.
    cdef float* vector_buffer
    cdef readonly Py_ssize_t fields
    cdef readonly Py_ssize_t vector_size
    cdef readonly Py_ssize_t conditions
    cdef readonly object values
    cdef readonly object status
    cdef readonly object rules
    cdef readonly object vectors


ctypedef struct Column:
    const void* data
    # One Status a row. NULL: NaN, MISSING_CODE and UNSEEN_CODE show it by themselves and all
    # else is OK.
    const uint8_t* status
    ColumnType type
    Py_ssize_t width


cdef class Columns:
    cdef Column* columns
    cdef readonly Py_ssize_t fields
    cdef readonly Py_ssize_t rows
    cdef tuple _arrays
    cdef tuple _statuses
    cdef _attach(self, Py_ssize_t index, bint is_code)
    cdef _guard(self, Py_ssize_t field)


cdef double column_value(const Column* column, Py_ssize_t row) noexcept nogil
cdef Status column_status(const Column* column, Py_ssize_t row) noexcept nogil
