# The values of one row, put field by field: each is checked and written with its status.

from libc.math cimport NAN, isnan
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memcpy

from gnomon.core.contract.plan cimport (
    BROKE_ALLOWED, BROKE_NULL, BROKE_TYPE, CLEAN, VALUE_BOOL, VALUE_CATEGORY, VALUE_INTEGER,
    VALUE_TEXT, ContractPlan, FieldPlan, RowBuffers, Severity,
)
from gnomon.core.contract.value_checks cimport (
    check_integer, check_length, check_number, check_unsigned, count_characters, status_of,
)
from gnomon.core.row cimport MISSING, OK, UNSEEN, Row
from gnomon.core.string_index cimport NOT_FOUND, string_code


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


cdef inline void put(
    const RowBuffers* row, Py_ssize_t field, double value, uint8_t rule
) noexcept nogil:
    row.values[field] = value
    row.rules[field] = rule
    row.status[field] = OK if rule == CLEAN else status_of(rule)


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
