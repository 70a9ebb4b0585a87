"""The interpreter of conditions: one postfix program, run over one row or over a block of rows.

Each value is a double; a logical is 1, 0, or NaN if it is unknown because something is missing.
"""

from libc.math cimport NAN, fabs, isnan, log
from libc.stdint cimport int32_t, uintptr_t

import numpy as np

from gnomon.core.row cimport Columns, column_value

__all__ = ["CompiledProgram"]

cdef enum:
    BLOCK = 128

INSTRUCTION = np.dtype([("operation", "i4"), ("argument", "i4"), ("constant", "i4")])


cdef class CompiledProgram:
    def __cinit__(self, instructions, constants, Py_ssize_t depth):
        self._instructions = np.array(instructions, dtype=INSTRUCTION)
        self._constants = np.array(constants, dtype=np.float64)
        self.depth = depth
        pushed = self._instructions[self._instructions["operation"] == PUSH_FIELD]
        self.fields = 1 + max(pushed["argument"], default=-1)
        if not 1 <= depth <= MAXIMUM_DEPTH:
            raise ValueError(f"a program needs a depth of 1 to {MAXIMUM_DEPTH}, not {depth}")
        self.view.length = len(self._instructions)
        self.view.instructions = <const Instruction*><uintptr_t>self._instructions.ctypes.data
        self.view.constants = <const double*><uintptr_t>self._constants.ctypes.data

    def operands(self):
        pushed = self._instructions[self._instructions["operation"] == PUSH_FIELD]
        return tuple(int(index) for index in np.unique(pushed["argument"]))

    def evaluate_row(self, const double[::1] values):
        if values.shape[0] < self.fields:
            raise ValueError(f"the program reads {self.fields} fields, not {values.shape[0]}")
        cdef double[MAXIMUM_DEPTH] stack
        cdef const double* fields = &values[0] if values.shape[0] else NULL
        return evaluate(&self.view, fields, 1, 1, stack)[0]

    def evaluate_columns(self, Columns columns not None):
        if columns.fields < self.fields:
            raise ValueError(f"the program reads {self.fields} fields, not {columns.fields}")
        answer = np.empty(columns.rows)
        cdef double[::1] answer_view = answer
        cdef double[::1] stack = np.empty(self.depth * BLOCK)
        cdef double[::1] block = np.empty(max(self.fields, 1) * BLOCK)
        cdef int32_t[::1] operands = np.array(self.operands(), dtype=np.int32)
        cdef Py_ssize_t start = 0, rows, row, operand, field
        cdef const double* result
        with nogil:
            while start < columns.rows:
                rows = min(<Py_ssize_t>BLOCK, columns.rows - start)
                for operand in range(operands.shape[0]):
                    field = operands[operand]
                    for row in range(rows):
                        block[field * BLOCK + row] = column_value(
                            &columns.columns[field], start + row
                        )
                result = evaluate(&self.view, &block[0], BLOCK, rows, &stack[0])
                for row in range(rows):
                    answer_view[start + row] = result[row]
                start += rows
        return answer


cdef const double* evaluate(
    const ProgramView* program,
    const double* fields,
    Py_ssize_t stride,
    Py_ssize_t rows,
    double* stack,
) noexcept nogil:
    """Run over `rows` rows; field f is at `fields + f * stride`, `stack` has depth x rows."""
    cdef const Instruction* step
    cdef double* top = stack - rows
    cdef Py_ssize_t row
    cdef int32_t position
    for position in range(program.length):
        step = &program.instructions[position]
        if step.operation == PUSH_FIELD:
            top += rows
            for row in range(rows):
                top[row] = fields[step.argument * stride + row]
        elif step.operation == PUSH_CONSTANT:
            top += rows
            for row in range(rows):
                top[row] = program.constants[step.constant]
        elif step.operation in (NEGATE, ABSOLUTE, LOGARITHM, NOT, IS_MISSING):
            apply_one(step.operation, top, rows)
        elif step.operation == IS_IN:
            apply_membership(&program.constants[step.constant], step.argument, top, rows)
        else:
            top -= rows
            apply_two(step.operation, top, top + rows, rows)
    return top


cdef void apply_one(int32_t operation, double* value, Py_ssize_t rows) noexcept nogil:
    cdef Py_ssize_t row
    for row in range(rows):
        if operation == NEGATE:
            value[row] = -value[row]
        elif operation == ABSOLUTE:
            value[row] = fabs(value[row])
        elif operation == LOGARITHM:
            value[row] = log(value[row])
        elif operation == NOT:
            value[row] = 1.0 - value[row]
        else:
            value[row] = isnan(value[row])


cdef void apply_membership(
    const double* members, int32_t count, double* value, Py_ssize_t rows
) noexcept nogil:
    cdef Py_ssize_t row
    cdef int32_t member
    cdef double found
    for row in range(rows):
        if isnan(value[row]):
            continue
        found = 0.0
        for member in range(count):
            if value[row] == members[member]:
                found = 1.0
        value[row] = found


cdef void apply_two(
    int32_t operation, double* left, const double* right, Py_ssize_t rows
) noexcept nogil:
    cdef Py_ssize_t row
    for row in range(rows):
        left[row] = combine(operation, left[row], right[row])


cdef inline double combine(int32_t operation, double left, double right) noexcept nogil:
    # A false operand decides `and`, a true one `or`, whatever is unknown beside it.
    if operation == AND:
        return 0.0 if left == 0.0 or right == 0.0 else left * right
    if operation == OR:
        return 1.0 if left == 1.0 or right == 1.0 else left + right
    if operation == ADD:
        return left + right
    if operation == SUBTRACT:
        return left - right
    if operation == MULTIPLY:
        return left * right
    if operation == DIVIDE:
        return left / right
    if isnan(left) or isnan(right):
        return NAN
    if operation == MINIMUM:
        return right if right < left else left
    if operation == MAXIMUM:
        return right if right > left else left
    return compare(operation, left, right)


cdef inline double compare(int32_t operation, double left, double right) noexcept nogil:
    if operation == LESS:
        return left < right
    if operation == LESS_EQUAL:
        return left <= right
    if operation == GREATER:
        return left > right
    if operation == GREATER_EQUAL:
        return left >= right
    if operation == EQUAL:
        return left == right
    return left != right
