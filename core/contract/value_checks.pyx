"""The rules of one field, checked on one value: what is too long to be inlined."""

from libc.math cimport floor, isinf, isnan
from libc.stdint cimport uint8_t

from gnomon.core.contract.plan cimport (
    BROKE_ALLOWED, BROKE_FINITE, BROKE_INTEGER, BROKE_MAXIMUM, BROKE_MINIMUM, BROKE_NULL,
    BROKE_SHAPE, CLEAN, FieldPlan,
)


cdef uint8_t check_particular(const FieldPlan* field, double value) noexcept nogil:
    """Check the rules that only some fields have, for a number within its bounds."""
    cdef Py_ssize_t low = 0, high = field.allowed_count, middle
    if field.whole and not isinf(value) and value != floor(value):
        return BROKE_INTEGER
    if high == 0:
        return CLEAN
    while low < high:
        middle = (low + high) // 2
        if field.allowed[middle] < value:
            low = middle + 1
        else:
            high = middle
    return CLEAN if low < field.allowed_count and field.allowed[low] == value else BROKE_ALLOWED


cdef uint8_t broken_bound(const FieldPlan* field, double value) noexcept nogil:
    """Say what a number outside its bounds broke first."""
    if field.finite and isinf(value):
        return BROKE_FINITE
    if field.whole and not isinf(value) and value != floor(value):
        return BROKE_INTEGER
    return BROKE_MINIMUM if value < field.minimum else BROKE_MAXIMUM


cdef uint8_t check_vector(
    const FieldPlan* field, const float* elements, Py_ssize_t count
) noexcept nogil:
    """Return what the first element that breaks a rule breaks."""
    cdef Py_ssize_t index
    cdef uint8_t rule
    if count != field.size:
        return BROKE_SHAPE
    for index in range(count):
        if isnan(elements[index]):
            if not field.nullable:
                return BROKE_NULL
            continue
        rule = check_double(field, elements[index])
        if rule != CLEAN:
            return rule
    return CLEAN
