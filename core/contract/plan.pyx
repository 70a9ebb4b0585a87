"""A contract compiled to flat C structures that can be read without the GIL."""

from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.stdint cimport uint8_t, uintptr_t

import numpy as np

from gnomon.core.expression.evaluation cimport CompiledProgram
from gnomon.core.row cimport MISSING, Row
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
