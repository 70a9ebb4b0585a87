"""Passes over typed columns: whether any rule is broken, and if so, which in which row."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.math cimport isnan
from libc.stdint cimport (
    int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t,
)

from gnomon.core.contract.plan cimport (
    CLEAN, FIRST_CONDITION, VALUE_BOOL, VALUE_FLOAT32, VALUE_FLOAT64, VALUE_INTEGER, VALUE_VECTOR,
    CompiledContract, FieldPlan,
)
from gnomon.core.contract.row_input cimport severity_of
from gnomon.core.contract.value_checks cimport (
    check_integer, check_number, check_unsigned, check_vector, status_of,
)
from gnomon.core.row cimport MISSING, OK

import numpy as np

__all__ = ["check_numbers", "check_vectors", "clean_columns", "severity_table"]

cdef extern from "kernels.h" nogil:
    ctypedef struct IntegerRules "gnomon_integer_rules":
        int64_t low
        int64_t high
        uint64_t bits
        int has_bits
    int any_broken_integer "gnomon_any_broken_integer" (
        int, const void*, Py_ssize_t, const IntegerRules*
    )
    int any_broken_float "gnomon_any_broken_float" (
        const float*, Py_ssize_t, double, double, int, int
    )
    int any_broken_double "gnomon_any_broken_double" (
        const double*, Py_ssize_t, double, double, int, int
    )

# NumPy's number of each column type, none for codes and vectors.
cdef int[13] type_numbers
for _position, _name in enumerate(
    "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float32 float64".split()
):
    type_numbers[_position] = np.dtype(_name).num
type_numbers[11] = type_numbers[12] = -1

ctypedef fused number:
    int8_t
    int16_t
    int32_t
    int64_t
    uint8_t
    uint16_t
    uint32_t
    uint64_t
    float
    double


def clean_columns(CompiledContract contract not None, names, mapping):
    cdef Py_ssize_t index
    cdef list clean = [None] * contract.plan.field_count
    for index in range(contract.plan.field_count):
        array = mapping.get(names[index])
        if type(array) is np.ndarray and is_clean(field_of(contract, index), array):
            clean[index] = array
    return clean


cdef bint is_clean(const FieldPlan* field, array) except -1:
    """Return whether an array is of the field's own dtype and keeps all of its rules."""
    cdef Py_buffer buffer
    if not array.flags.c_contiguous or not array.dtype.isnative or array.ndim != 1:
        return False
    if array.dtype.num != type_numbers[<int>field.column_type]:
        return False
    PyObject_GetBuffer(array, &buffer, PyBUF_SIMPLE)
    cdef Py_ssize_t count = buffer.len // buffer.itemsize
    cdef bint broken
    with nogil:
        broken = any_broken(field, buffer.buf, count)
    PyBuffer_Release(&buffer)
    return not broken


cdef bint any_broken(const FieldPlan* field, const void* data, Py_ssize_t count) noexcept nogil:
    """Whether a rule is broken, or only a check of each value can decide."""
    cdef IntegerRules rules
    if field.kind == VALUE_BOOL:
        return False
    if field.kind == VALUE_INTEGER:
        if not tabulate(field, &rules):
            return True
        return any_broken_integer(field.column_type, data, count, &rules)
    if field.allowed_count:
        return True
    if field.kind == VALUE_FLOAT32:
        return any_broken_float(
            <const float*>data, count, field.minimum, field.maximum, field.nullable, field.whole
        )
    if field.kind == VALUE_FLOAT64:
        return any_broken_double(
            <const double*>data, count, field.minimum, field.maximum, field.nullable, field.whole
        )
    return True


cdef bint tabulate(const FieldPlan* field, IntegerRules* rules) noexcept nogil:
    """Prepare the pass over whole numbers; false if the allowed ones span more than 64."""
    cdef Py_ssize_t last = field.allowed_count - 1, index
    cdef int64_t allowed
    rules[0] = IntegerRules(field.lowest, field.highest, 0, 0)
    if last < 0:
        return True
    rules.low = max(rules.low, <int64_t>field.allowed[0])
    rules.high = min(rules.high, <int64_t>field.allowed[last])
    rules.has_bits = 1
    if rules.low > rules.high or rules.high - rules.low >= 64:
        return False
    for index in range(last + 1):
        allowed = <int64_t>field.allowed[index]
        if rules.low <= allowed <= rules.high:
            rules.bits |= (<uint64_t>1) << (allowed - rules.low)
    return True


def check_numbers(CompiledContract contract not None, Py_ssize_t index, const number[::1] values):
    cdef const FieldPlan* field = field_of(contract, index)
    cdef Py_ssize_t row, count = values.shape[0]
    numbers = np.empty(count)
    rules = np.empty(count, dtype=np.uint8)
    status = np.empty(count, dtype=np.uint8)
    cdef double[::1] numbers_view = numbers
    cdef uint8_t[::1] rules_view = rules
    cdef uint8_t[::1] status_view = status
    cdef double value
    cdef uint8_t rule
    with nogil:
        for row in range(count):
            value = <double>values[row]
            if number is float or number is double:
                status_view[row] = MISSING if isnan(value) else OK
                rule = check_number(field, &value)
            elif field.kind != VALUE_INTEGER:
                status_view[row] = OK
                rule = check_number(field, &value)
            elif number is uint64_t:
                status_view[row] = OK
                rule = check_unsigned(field, values[row])
            else:
                status_view[row] = OK
                rule = check_integer(field, <int64_t>values[row])
            numbers_view[row] = value
            rules_view[row] = rule
            if rule != CLEAN:
                status_view[row] = status_of(rule)
    return numbers, rules, status


def check_vectors(CompiledContract contract not None, Py_ssize_t index, const float[:, ::1] values):
    cdef const FieldPlan* field = field_of(contract, index)
    if field.kind != VALUE_VECTOR or values.shape[1] != field.size:
        raise ValueError(f"field {index} takes no vectors of {values.shape[1]} elements")
    cdef Py_ssize_t row
    rules = np.empty(values.shape[0], dtype=np.uint8)
    cdef uint8_t[::1] rules_view = rules
    with nogil:
        for row in range(values.shape[0]):
            rules_view[row] = check_vector(field, &values[row, 0], field.size)
    return rules


def severity_table(CompiledContract contract not None, Py_ssize_t index):
    cdef const FieldPlan* field = field_of(contract, index)
    return np.array([severity_of(field, rule) for rule in range(FIRST_CONDITION)], dtype=np.uint8)


cdef const FieldPlan* field_of(CompiledContract contract, Py_ssize_t index) except NULL:
    if not 0 <= index < contract.plan.field_count:
        raise IndexError(f"field {index} of {contract.plan.field_count}")
    return &contract.plan.fields[index]
