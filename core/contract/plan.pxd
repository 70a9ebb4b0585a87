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

# In increasing order.
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
    # Whether a number within its bounds still has to be checked by check_particular.
    bint particular
    bint has_pattern
    # Closed bounds, infinite if there are none; open ones are moved by one step. Where
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
    # The objects whose memory the plan points into.
    cdef list _kept
    cdef _plan_field(self, Py_ssize_t index, dict layout)
    cdef const double* _keep_doubles(self, values)
    cdef const uint8_t* _keep_bytes(self, values)
