# The interpreter of conditions: postfix programs over blocks of doubles, NaN for missing.

from libc.stdint cimport int32_t

cdef enum Operation:
    PUSH_FIELD = 0
    PUSH_CONSTANT = 1
    ADD = 2
    SUBTRACT = 3
    MULTIPLY = 4
    DIVIDE = 5
    NEGATE = 6
    ABSOLUTE = 7
    LOGARITHM = 8
    MINIMUM = 9
    MAXIMUM = 10
    LESS = 11
    LESS_EQUAL = 12
    GREATER = 13
    GREATER_EQUAL = 14
    EQUAL = 15
    NOT_EQUAL = 16
    AND = 17
    OR = 18
    NOT = 19
    IS_MISSING = 20
    IS_IN = 21

cdef enum:
    # The deepest stack that a program may need.
    MAXIMUM_DEPTH = 64

ctypedef struct Instruction:
    int32_t operation
    # The field of PUSH_FIELD, the number of members of IS_IN.
    int32_t argument
    # The index of the constant, or of the first member.
    int32_t constant

ctypedef struct ProgramView:
    const Instruction* instructions
    const double* constants
    int32_t length


cdef class CompiledProgram:
    cdef ProgramView view
    cdef object _instructions
    cdef object _constants
    cdef readonly Py_ssize_t fields
    cdef readonly Py_ssize_t depth


cdef const double* evaluate(
    const ProgramView* program,
    const double* fields,
    Py_ssize_t stride,
    Py_ssize_t rows,
    double* stack,
) noexcept nogil
