# A contract as flat C structures, and the checks of single values on them.
#
# A row is checked in three steps, none of which needs Python:
#   contract_begin   every field absent
#   contract_put_*   one value each, in any order; writes value, status and broken rule
#   contract_finish  policies, then conditions over several fields; the verdict
# `contract_check_doubles` is all three for a caller that has a row of doubles already.

from libc.float cimport DBL_MAX
from libc.math cimport INFINITY, NAN, floor, isinf, isnan
from libc.stdint cimport INT64_MAX, int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memcpy

from gnomon.core.expression.evaluation cimport MAXIMUM_DEPTH, ProgramView, evaluate
from gnomon.core.row cimport INVALID, MISSING, OK, UNSEEN, ColumnType, Row
from gnomon.core.string_index cimport NOT_FOUND, StringIndexView, string_code

# What a field broke; `gnomon.core.contract.layout.FIELD_RULES` names them in this order.
cdef enum RuleCode:
    CLEAN = 0
    BROKE_UNKNOWN_FIELD = 1
    BROKE_REQUIRED = 2
    BROKE_NULL = 3
    BROKE_TYPE = 4
    BROKE_SHAPE = 5
    BROKE_FINITE = 6
    BROKE_INTEGER = 7
    BROKE_OVERFLOW = 8
    BROKE_MINIMUM = 9
    BROKE_MAXIMUM = 10
    BROKE_ALLOWED = 11
    BROKE_MINIMUM_LENGTH = 12
    BROKE_MAXIMUM_LENGTH = 13
    BROKE_PATTERN = 14
    # Conditions over several fields follow, in their order.
    FIRST_CONDITION = 16

# Ordered by gravity.
cdef enum Severity:
    SEVERITY_NONE = 0
    SEVERITY_FLAG = 1
    SEVERITY_CLIP = 2
    SEVERITY_IMPUTE = 3
    SEVERITY_REJECT = 4

cdef enum ValueKind:
    VALUE_BOOL = 0
    VALUE_INTEGER = 1
    VALUE_FLOAT32 = 2
    VALUE_FLOAT64 = 3
    VALUE_CATEGORY = 4
    VALUE_TEXT = 5
    VALUE_VECTOR = 6

ctypedef struct FieldPlan:
    ValueKind kind
    ColumnType column_type
    Severity policy
    bint required
    bint nullable
    bint finite
    bint whole
    # Whether a number within its bounds still has more to prove.
    bint particular
    bint has_pattern
    # Closed bounds, infinite where there are none; open ones are moved by one step. Where
    # only finite numbers will do, they are never beyond the largest of the kind.
    double minimum
    double maximum
    # The same for whole numbers, within `Kind.integer_range`: float64 holds all of these exactly.
    int64_t lowest
    int64_t highest
    int64_t kind_lowest
    int64_t kind_highest
    const double* allowed
    Py_ssize_t allowed_count
    StringIndexView texts
    int64_t minimum_length
    int64_t maximum_length
    double impute
    Py_ssize_t size
    Py_ssize_t vector_offset

ctypedef struct ConditionPlan:
    ProgramView program
    Severity policy

ctypedef struct ContractPlan:
    const FieldPlan* fields
    Py_ssize_t field_count
    const ConditionPlan* conditions
    Py_ssize_t condition_count
    Py_ssize_t vector_size
    # From a field's name to its index.
    StringIndexView names
    # What a row looks like before its values are put.
    const double* blank_values
    const uint8_t* blank_status
    const uint8_t* blank_rules
    # Whether a pattern needs Python's `re`; contract_put_text does not check it.
    bint needs_python

ctypedef struct RowBuffers:
    double* values
    uint8_t* status
    # field_count + condition_count bytes
    uint8_t* rules
    # vector_size floats; NULL if there are no vectors
    float* vectors


cdef class CompiledContract:
    cdef ContractPlan plan
    cdef FieldPlan* _fields
    cdef ConditionPlan* _conditions
    cdef tuple _names
    # Whatever the plan points into.
    cdef list _kept
    cdef _plan_field(self, Py_ssize_t index, dict layout)
    cdef const double* _keep_doubles(self, values)
    cdef const uint8_t* _keep_bytes(self, values)


cdef Severity contract_finish(const ContractPlan* plan, const RowBuffers* row) noexcept nogil
cdef Severity contract_check_doubles(
    const ContractPlan* plan, const double* values, const RowBuffers* row
) noexcept nogil
cdef void contract_put_vector(
    const ContractPlan* plan,
    const RowBuffers* row,
    Py_ssize_t field,
    const float* elements,
    Py_ssize_t count,
) noexcept nogil
cdef Severity severity_of(const FieldPlan* field, uint8_t rule) noexcept nogil
cdef double clipped(const FieldPlan* field, uint8_t rule) noexcept nogil
cdef uint8_t check_particular(const FieldPlan* field, double value) noexcept nogil
cdef uint8_t broken_bound(const FieldPlan* field, double value) noexcept nogil
cdef uint8_t check_vector(
    const FieldPlan* field, const float* elements, Py_ssize_t count
) noexcept nogil


cdef inline RowBuffers buffers_of(Row row) noexcept nogil:
    return RowBuffers(row.value_buffer, row.status_buffer, row.rule_buffer, row.vector_buffer)


cdef inline Py_ssize_t contract_field(
    const ContractPlan* plan, const char* name, Py_ssize_t length
) noexcept nogil:
    """Return the index of a field by its name, or a negative number."""
    return string_code(&plan.names, name, length)


cdef inline void contract_begin(const ContractPlan* plan, const RowBuffers* row) noexcept nogil:
    memcpy(row.values, plan.blank_values, plan.field_count * sizeof(double))
    memcpy(row.status, plan.blank_status, plan.field_count)
    memcpy(row.rules, plan.blank_rules, plan.field_count + plan.condition_count)
    cdef Py_ssize_t element
    for element in range(plan.vector_size):
        row.vectors[element] = <float>NAN


cdef inline uint8_t status_of(uint8_t rule) noexcept nogil:
    """What came in, where a rule was broken."""
    if rule == BROKE_REQUIRED or rule == BROKE_NULL:
        return MISSING
    return INVALID


cdef inline void put(
    const RowBuffers* row, Py_ssize_t field, double value, uint8_t rule
) noexcept nogil:
    row.values[field] = value
    row.rules[field] = rule
    row.status[field] = OK if rule == CLEAN else status_of(rule)


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


cdef inline void contract_put_missing(
    const ContractPlan* plan, const RowBuffers* row, Py_ssize_t field
) noexcept nogil:
    row.values[field] = NAN
    row.status[field] = MISSING
    row.rules[field] = CLEAN if plan.fields[field].nullable else BROKE_NULL


cdef inline void contract_put_double(
    const ContractPlan* plan, const RowBuffers* row, Py_ssize_t field, double value
) noexcept nogil:
    cdef uint8_t rule
    if isnan(value):
        contract_put_missing(plan, row, field)
        return
    rule = check_number(&plan.fields[field], &value)
    put(row, field, value, rule)


cdef inline void contract_put_integer(
    const ContractPlan* plan, const RowBuffers* row, Py_ssize_t field, int64_t value
) noexcept nogil:
    cdef const FieldPlan* rules = &plan.fields[field]
    if rules.kind == VALUE_INTEGER:
        put(row, field, <double>value, check_integer(rules, value))
    else:
        contract_put_double(plan, row, field, <double>value)


cdef inline void contract_put_unsigned(
    const ContractPlan* plan, const RowBuffers* row, Py_ssize_t field, uint64_t value
) noexcept nogil:
    cdef const FieldPlan* rules = &plan.fields[field]
    if rules.kind == VALUE_INTEGER:
        put(row, field, <double>value, check_unsigned(rules, value))
    else:
        contract_put_double(plan, row, field, <double>value)


cdef inline void contract_put_bool(
    const ContractPlan* plan, const RowBuffers* row, Py_ssize_t field, bint value
) noexcept nogil:
    if plan.fields[field].kind == VALUE_BOOL:
        put(row, field, 1.0 if value else 0.0, CLEAN)
    else:
        put(row, field, NAN, BROKE_TYPE)


cdef inline void contract_put_broken(
    const RowBuffers* row, Py_ssize_t field, uint8_t rule
) noexcept nogil:
    """Put a value that is no number, no text or not of the field's shape."""
    put(row, field, NAN, rule)


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


cdef inline void contract_put_text(
    const ContractPlan* plan,
    const RowBuffers* row,
    Py_ssize_t field,
    const char* text,
    Py_ssize_t length,
) noexcept nogil:
    """Put valid UTF-8. A pattern is not checked here: see ContractPlan.needs_python."""
    cdef const FieldPlan* rules = &plan.fields[field]
    cdef int32_t code
    cdef Py_ssize_t characters
    if rules.kind == VALUE_CATEGORY:
        code = string_code(&rules.texts, text, length)
        put(row, field, code, CLEAN)
        if code == NOT_FOUND:
            row.rules[field] = BROKE_ALLOWED
            row.status[field] = UNSEEN
    elif rules.kind == VALUE_TEXT:
        characters = count_characters(text, length)
        put(row, field, <double>characters, check_length(rules, characters))
    else:
        put(row, field, NAN, BROKE_TYPE)
