"""A contract compiled to flat C structures that can be read without the GIL."""

from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.stdint cimport uintptr_t

import numpy as np

from gnomon.core.expression.evaluation cimport CompiledProgram
from gnomon.core.string_index cimport StringIndex

__all__ = ["CompiledContract"]


cdef class CompiledContract:
    def __cinit__(self, layouts, conditions, *args, **kwargs):
        self._kept = []
        self.plan.field_count = len(layouts)
        self.plan.condition_count = len(conditions)
        self._fields = <FieldPlan*>PyMem_Calloc(len(layouts) + 1, sizeof(FieldPlan))
        self._conditions = <ConditionPlan*>PyMem_Calloc(
            len(conditions) + 1, sizeof(ConditionPlan)
        )
        if self._fields == NULL or self._conditions == NULL:
            raise MemoryError
        self.plan.fields = self._fields
        self.plan.conditions = self._conditions
        cdef Py_ssize_t index
        for index in range(self.plan.field_count):
            self._plan_field(index, layouts[index])
        cdef CompiledProgram program
        for index in range(self.plan.condition_count):
            program, policy = conditions[index]
            if program.fields > self.plan.field_count:
                raise ValueError(f"condition {index} reads {program.fields} fields")
            self._kept.append(program)
            self._conditions[index] = ConditionPlan(program.view, <Severity><int>policy)
        self._names = tuple([layout["name"] for layout in layouts])
        cdef StringIndex names = StringIndex(self._names)
        self._kept.append(names)
        self.plan.names = names.view
        required = [BROKE_REQUIRED if layout["required"] else CLEAN for layout in layouts]
        self.plan.blank_rules = self._keep_bytes(required + [CLEAN] * len(conditions))
        self.plan.blank_status = self._keep_bytes([<int>MISSING] * len(layouts))
        self.plan.blank_values = self._keep_doubles([np.nan] * len(layouts))

    def __dealloc__(self):
        PyMem_Free(self._fields)
        PyMem_Free(self._conditions)

    def new_row(self):
        return Row(self.plan.field_count, self.plan.vector_size, self.plan.condition_count)

    def check_doubles(self, const double[::1] values, Row row not None):
        if values.shape[0] != self.plan.field_count or row.fields != self.plan.field_count:
            raise ValueError(f"{self.plan.field_count} values are wanted, not {values.shape[0]}")
        if row.conditions != self.plan.condition_count or row.vector_size != self.plan.vector_size:
            raise ValueError("the row was made by another contract; use this one's new_row()")
        cdef RowBuffers buffers = buffers_of(row)
        cdef const double* first = &values[0] if values.shape[0] else NULL
        return <int>contract_check_doubles(&self.plan, first, &buffers)

    @property
    def needs_python(self):
        return self.plan.needs_python

    cdef _plan_field(self, Py_ssize_t index, dict layout):
        cdef FieldPlan* field = &self._fields[index]
        cdef StringIndex texts
        field.kind = <ValueKind><int>layout["kind"]
        field.column_type = <ColumnType><int>layout["column_type"]
        field.policy = <Severity><int>layout["policy"]
        field.required, field.nullable = layout["required"], layout["nullable"]
        field.finite, field.whole = layout["finite"], layout["whole"]
        field.has_pattern = layout["has_pattern"]
        field.minimum, field.maximum = layout["minimum"], layout["maximum"]
        field.lowest, field.highest = layout["lowest"], layout["highest"]
        field.kind_lowest, field.kind_highest = layout["kind_lowest"], layout["kind_highest"]
        field.minimum_length = layout["minimum_length"]
        field.maximum_length = layout["maximum_length"]
        field.impute, field.size = layout["impute"], layout["size"]
        if field.kind == VALUE_CATEGORY:
            texts = StringIndex(layout["texts"])
            self._kept.append(texts)
            field.texts = texts.view
        field.allowed = self._keep_doubles(layout["allowed"])
        field.allowed_count = len(layout["allowed"])
        field.particular = field.whole or field.allowed_count > 0
        if field.kind == VALUE_CATEGORY:
            field.allowed_count = len(layout["texts"])
        self.plan.needs_python = self.plan.needs_python or field.has_pattern
        if field.kind == VALUE_VECTOR:
            field.vector_offset = self.plan.vector_size
            self.plan.vector_size += field.size

    cdef const double* _keep_doubles(self, values):
        array = np.array(values, dtype=np.float64)
        self._kept.append(array)
        return <const double*><uintptr_t>array.ctypes.data

    cdef const uint8_t* _keep_bytes(self, values):
        array = np.array(values, dtype=np.uint8)
        self._kept.append(array)
        return <const uint8_t*><uintptr_t>array.ctypes.data


cdef uint8_t check_particular(const FieldPlan* field, double value) noexcept nogil:
    """Check what only some fields ask of a number within its bounds."""
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
    """The field's policy, or reject where the policy cannot repair this."""
    if rule == CLEAN:
        return SEVERITY_NONE
    if field.policy == SEVERITY_CLIP and rule not in (BROKE_MINIMUM, BROKE_MAXIMUM):
        return SEVERITY_REJECT
    # What the kind cannot hold cannot flow on as it is.
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
    """Apply policies and conditions; return the gravest severity, SEVERITY_NONE if all is well."""
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
