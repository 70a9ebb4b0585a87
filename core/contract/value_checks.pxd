# The rules of one field, checked on one value. Each function returns the RuleCode that is broken.

from libc.math cimport NAN, floor, isinf, isnan
from libc.stdint cimport INT64_MAX, int64_t, uint8_t, uint64_t

from gnomon.core.contract.plan cimport (
    BROKE_FINITE, BROKE_INTEGER, BROKE_MAXIMUM, BROKE_MAXIMUM_LENGTH, BROKE_MINIMUM,
    BROKE_MINIMUM_LENGTH, BROKE_NULL, BROKE_OVERFLOW, BROKE_REQUIRED, BROKE_TYPE, CLEAN,
    VALUE_FLOAT32, VALUE_FLOAT64, VALUE_INTEGER, FieldPlan,
)
from gnomon.core.row cimport INVALID, MISSING


cdef uint8_t check_particular(const FieldPlan* field, double value) noexcept nogil
cdef uint8_t broken_bound(const FieldPlan* field, double value) noexcept nogil
cdef uint8_t check_vector(
    const FieldPlan* field, const float* elements, Py_ssize_t count
) noexcept nogil


cdef inline uint8_t status_of(uint8_t rule) noexcept nogil:
    """The status of a value that broke `rule`."""
    if rule == BROKE_REQUIRED or rule == BROKE_NULL:
        return MISSING
    return INVALID


cdef inline uint8_t check_double(const FieldPlan* field, double value) noexcept nogil:
    """Check a number that is not NaN; a float32 field's must be rounded already."""
    if field.minimum <= value <= field.maximum:
        return check_particular(field, value) if field.particular else CLEAN
    return broken_bound(field, value)


cdef inline uint8_t check_integer(const FieldPlan* field, int64_t value) noexcept nogil:
    if field.lowest <= value <= field.highest:
        return check_particular(field, <double>value) if field.particular else CLEAN
    if value < field.kind_lowest or value > field.kind_highest:
        return BROKE_OVERFLOW
    return BROKE_MINIMUM if value < field.lowest else BROKE_MAXIMUM


cdef inline uint8_t check_unsigned(const FieldPlan* field, uint64_t value) noexcept nogil:
    if value > <uint64_t>INT64_MAX:
        return BROKE_OVERFLOW
    return check_integer(field, <int64_t>value)


cdef inline uint8_t check_fraction(const FieldPlan* field, double value) noexcept nogil:
    """Check a double that came in for a field of whole numbers."""
    if isinf(value):
        return BROKE_FINITE
    if value != floor(value):
        return BROKE_INTEGER
    if -9223372036854775808.0 <= value < 9223372036854775808.0:
        return check_integer(field, <int64_t>value)
    return BROKE_OVERFLOW


cdef inline uint8_t check_number(const FieldPlan* field, double* value) noexcept nogil:
    """Check any double, and round it to what the field holds."""
    cdef double rounded
    cdef bint overflow
    if isnan(value[0]):
        return CLEAN if field.nullable else BROKE_NULL
    if field.kind == VALUE_FLOAT64:
        return check_double(field, value[0])
    if field.kind == VALUE_FLOAT32:
        rounded = <float>value[0]
        overflow = isinf(rounded) and not isinf(value[0])
        value[0] = rounded
        return BROKE_OVERFLOW if overflow else check_double(field, rounded)
    if field.kind == VALUE_INTEGER:
        # Whole numbers have one zero only.
        value[0] += 0.0
        return check_fraction(field, value[0])
    value[0] = NAN
    return BROKE_TYPE


cdef inline uint8_t check_length(const FieldPlan* field, Py_ssize_t characters) noexcept nogil:
    if characters < field.minimum_length:
        return BROKE_MINIMUM_LENGTH
    return BROKE_MAXIMUM_LENGTH if characters > field.maximum_length else CLEAN


cdef inline Py_ssize_t count_characters(const char* text, Py_ssize_t length) noexcept nogil:
    """Count the code points of UTF-8: all bytes but continuations."""
    cdef Py_ssize_t index, count = 0
    for index in range(length):
        count += (<uint8_t>text[index] & 0xC0) != 0x80
    return count
