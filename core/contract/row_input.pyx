"""The values of one row, put field by field: vectors, rows of doubles, and the last step."""

from libc.math cimport NAN, floor, isnan
from libc.stdint cimport uint8_t
from libc.string cimport memcpy

from gnomon.core.contract.plan cimport (
    BROKE_ALLOWED, BROKE_MAXIMUM, BROKE_MINIMUM, BROKE_OVERFLOW, BROKE_TYPE, CLEAN,
    FIRST_CONDITION, SEVERITY_CLIP, SEVERITY_FLAG, SEVERITY_IMPUTE, SEVERITY_NONE, SEVERITY_REJECT,
    VALUE_BOOL, VALUE_CATEGORY, VALUE_INTEGER, VALUE_TEXT, VALUE_VECTOR, ContractPlan, FieldPlan,
    RowBuffers, Severity,
)
from gnomon.core.contract.value_checks cimport check_length, check_vector
from gnomon.core.expression.evaluation cimport MAXIMUM_DEPTH, evaluate
from gnomon.core.row cimport UNSEEN
from gnomon.core.string_index cimport NOT_FOUND


cdef void contract_put_vector(
    const ContractPlan* plan,
    const RowBuffers* row,
    Py_ssize_t field,
    const float* elements,
    Py_ssize_t count,
) noexcept nogil:
    cdef const FieldPlan* rules = &plan.fields[field]
    if rules.kind != VALUE_VECTOR:
        put(row, field, NAN, BROKE_TYPE)
        return
    put(row, field, NAN, check_vector(rules, elements, count))
    if count == rules.size:
        memcpy(row.vectors + rules.vector_offset, elements, count * sizeof(float))


cdef Severity severity_of(const FieldPlan* field, uint8_t rule) noexcept nogil:
    """The field's policy, or reject if the policy cannot repair this."""
    if rule == CLEAN:
        return SEVERITY_NONE
    if field.policy == SEVERITY_CLIP and rule not in (BROKE_MINIMUM, BROKE_MAXIMUM):
        return SEVERITY_REJECT
    # A number that the kind cannot hold cannot be passed on.
    if field.policy == SEVERITY_FLAG and rule == BROKE_OVERFLOW and field.kind == VALUE_INTEGER:
        return SEVERITY_REJECT
    return field.policy


cdef Severity finish_fields(const ContractPlan* plan, const RowBuffers* row) noexcept nogil:
    cdef Severity worst = SEVERITY_NONE, severity
    cdef const FieldPlan* field
    cdef Py_ssize_t index
    for index in range(plan.field_count):
        if row.rules[index] == CLEAN:
            continue
        field = &plan.fields[index]
        severity = severity_of(field, row.rules[index])
        worst = max(worst, severity)
        if severity == SEVERITY_IMPUTE:
            row.values[index] = field.impute
        elif severity == SEVERITY_CLIP:
            row.values[index] = clipped(field, row.rules[index])
    return worst


cdef double clipped(const FieldPlan* field, uint8_t rule) noexcept nogil:
    if field.kind == VALUE_INTEGER:
        return <double>(field.lowest if rule == BROKE_MINIMUM else field.highest)
    return field.minimum if rule == BROKE_MINIMUM else field.maximum


cdef Severity contract_finish(const ContractPlan* plan, const RowBuffers* row) noexcept nogil:
    """Apply policies and conditions; return the highest severity, SEVERITY_NONE if all hold."""
    cdef double[MAXIMUM_DEPTH] stack
    cdef Severity worst = SEVERITY_NONE
    cdef uint8_t broken = 0
    cdef Py_ssize_t index
    for index in range(plan.field_count):
        broken |= row.rules[index]
    if broken:
        worst = finish_fields(plan, row)
    for index in range(plan.condition_count):
        row.rules[plan.field_count + index] = CLEAN
        if evaluate(&plan.conditions[index].program, row.values, 1, 1, stack)[0] == 0.0:
            row.rules[plan.field_count + index] = <uint8_t>(FIRST_CONDITION + index)
            worst = max(worst, plan.conditions[index].policy)
    return worst


cdef Severity contract_check_doubles(
    const ContractPlan* plan, const double* values, const RowBuffers* row
) noexcept nogil:
    """Check a row of doubles: NaN missing, 0 and 1 for a bool, a code for a category.

    Vectors count as absent and free texts as their lengths; put them afterwards with
    contract_put_vector and contract_put_text, and call contract_finish again.
    """
    cdef Py_ssize_t index
    cdef const FieldPlan* field
    cdef double value
    contract_begin(plan, row)
    for index in range(plan.field_count):
        value = values[index]
        field = &plan.fields[index]
        if isnan(value):
            if field.kind != VALUE_VECTOR:
                contract_put_missing(plan, row, index)
        elif field.kind == VALUE_BOOL:
            put(row, index, value, CLEAN if value == 0.0 or value == 1.0 else BROKE_TYPE)
        elif field.kind == VALUE_CATEGORY:
            put_code(row, index, value, field.allowed_count)
        elif field.kind == VALUE_TEXT:
            put_length(row, index, value, field)
        else:
            contract_put_double(plan, row, index, value)
    return contract_finish(plan, row)


cdef void put_code(
    const RowBuffers* row, Py_ssize_t field, double code, Py_ssize_t count
) noexcept nogil:
    if 0 <= code < count and code == floor(code):
        put(row, field, code, CLEAN)
    else:
        put(row, field, NOT_FOUND, BROKE_ALLOWED)
        row.status[field] = UNSEEN


cdef void put_length(
    const RowBuffers* row, Py_ssize_t field, double length, const FieldPlan* rules
) noexcept nogil:
    if 0 <= length < 9007199254740992.0:
        put(row, field, length, check_length(rules, <Py_ssize_t>length))
    else:
        put(row, field, NAN, BROKE_TYPE)
