"""The check of one mapping of Python values: the hot path of an agent."""

cimport cython
from cpython.object cimport PyObject
from libc.math cimport INFINITY, isinf
from libc.stdint cimport int64_t, uintptr_t

from gnomon.core.contract.plan cimport (
    BROKE_OVERFLOW, BROKE_PATTERN, BROKE_SHAPE, BROKE_TYPE, SEVERITY_NONE, VALUE_FLOAT32,
    VALUE_FLOAT64, VALUE_INTEGER, VALUE_VECTOR, CompiledContract, ContractPlan, FieldPlan,
    RowBuffers, Severity,
)
from gnomon.core.contract.row_input cimport (
    buffers_of, contract_begin, contract_check_doubles, contract_field, contract_finish,
    contract_put_bool, contract_put_broken, contract_put_double, contract_put_integer,
    contract_put_missing, contract_put_text, contract_put_vector, put,
)
from gnomon.core.row cimport Row

import numpy as np

__all__ = ["RowChecker"]

cdef extern from "Python.h":
    bint PyDict_Next(PyObject*, Py_ssize_t*, PyObject**, PyObject**)
    bint PyFloat_CheckExact(PyObject*)
    double PyFloat_AS_DOUBLE(PyObject*)
    bint PyLong_CheckExact(PyObject*)
    long long PyLong_AsLongLongAndOverflow(PyObject*, int*) except? -1
    bint PyUnicode_CheckExact(PyObject*)
    bint PyUnicode_Check(PyObject*)
    bint PyUnicode_IS_COMPACT_ASCII(PyObject*)
    Py_ssize_t PyUnicode_GET_LENGTH(PyObject*)
    const char* ascii_data "(const char *)PyUnicode_DATA" (PyObject*)
    const char* PyUnicode_AsUTF8AndSize(PyObject*, Py_ssize_t*) except NULL
    PyObject* Py_True
    PyObject* Py_False
    PyObject* Py_None


cdef class RowChecker(CompiledContract):
    cdef list _patterns
    cdef list _shapes
    # Borrowed from _names: an equal pointer is an equal name.
    cdef object _name_array
    cdef PyObject** _name_pointers

    def __cinit__(self, layouts, conditions, patterns=(), *args, **kwargs):
        self._patterns = [None] * self.plan.field_count
        self._shapes = [layout["shape"] for layout in layouts]
        for index, pattern in patterns:
            self._patterns[index] = pattern
        self._name_array = np.array([id(name) for name in self._names], dtype=np.uintp)
        self._name_pointers = <PyObject**><uintptr_t>self._name_array.ctypes.data

    def check_row(self, mapping, Row row not None):
        if type(mapping) is not dict:
            mapping = dict(mapping)
        if (
            row.fields != self.plan.field_count
            or row.vector_size != self.plan.vector_size
            or row.conditions != self.plan.condition_count
        ):
            raise ValueError("the row was made by another contract; use this one's new_row()")
        cdef RowBuffers buffers = buffers_of(row)
        cdef Py_ssize_t unknown
        contract_begin(&self.plan, &buffers)
        with cython.critical_section(mapping):
            unknown = self._put_all(mapping, &buffers)
        cdef Severity worst = contract_finish(&self.plan, &buffers)
        if worst == SEVERITY_NONE and unknown == 0:
            return None
        return self.violations_of(row, mapping)

    def check_doubles(self, const double[::1] values, Row row not None):
        if values.shape[0] != self.plan.field_count or row.fields != self.plan.field_count:
            raise ValueError(f"{self.plan.field_count} values are expected, not {values.shape[0]}")
        if row.conditions != self.plan.condition_count or row.vector_size != self.plan.vector_size:
            raise ValueError("the row was made by another contract; use this one's new_row()")
        cdef RowBuffers buffers = buffers_of(row)
        cdef const double* first = &values[0] if values.shape[0] else NULL
        return <int>contract_check_doubles(&self.plan, first, &buffers)

    def check_objects(self, Py_ssize_t field, values, Row row not None):
        """Check a sequence of Python values as one field's; return numbers, rules and status."""
        cdef Py_ssize_t index, count = len(values)
        if not 0 <= field < self.plan.field_count or row.fields != self.plan.field_count:
            raise ValueError(f"field {field} of {self.plan.field_count}, row of {row.fields}")
        numbers = np.empty(count)
        rules = np.empty(count, dtype=np.uint8)
        status = np.empty(count, dtype=np.uint8)
        cdef double[::1] numbers_view = numbers
        cdef unsigned char[::1] rules_view = rules
        cdef unsigned char[::1] status_view = status
        cdef RowBuffers buffers = buffers_of(row)
        for index in range(count):
            value = values[index]
            self._put(field, <PyObject*>value, &buffers)
            numbers_view[index] = row.value_buffer[field]
            rules_view[index] = row.rule_buffer[field]
            status_view[index] = row.status_buffer[field]
        return numbers, rules, status

    @cython.final
    cdef Py_ssize_t _put_all(self, dict mapping, const RowBuffers* row) except -1:
        """Put every item of a mapping; return how many keys are no field."""
        cdef PyObject* key
        cdef PyObject* value
        cdef Py_ssize_t position = 0, expected = 0, field, unknown = 0
        while PyDict_Next(<PyObject*>mapping, &position, &key, &value):
            # Most callers send their fields in the contract's order, under interned names.
            if expected < self.plan.field_count and key == self._name_pointers[expected]:
                field = expected
            else:
                field = find(&self.plan, key)
                if field < 0:
                    unknown += 1
                    continue
            self._put(field, value, row)
            expected = field + 1
        return unknown

    @cython.final
    cdef inline int _put(
        self, Py_ssize_t field, PyObject* value, const RowBuffers* row
    ) except -1:
        cdef int overflow
        cdef int64_t whole
        if PyFloat_CheckExact(value):
            contract_put_double(&self.plan, row, field, PyFloat_AS_DOUBLE(value))
        elif PyLong_CheckExact(value):
            whole = PyLong_AsLongLongAndOverflow(value, &overflow)
            if overflow:
                self._put_large(field, <object>value, row)
            else:
                contract_put_integer(&self.plan, row, field, whole)
        elif PyUnicode_CheckExact(value):
            if PyUnicode_IS_COMPACT_ASCII(value) and not self.plan.fields[field].has_pattern:
                contract_put_text(
                    &self.plan, row, field, ascii_data(value), PyUnicode_GET_LENGTH(value)
                )
            else:
                self._put_text(field, <object>value, row)
        elif value == Py_None:
            contract_put_missing(&self.plan, row, field)
        elif value == Py_True or value == Py_False:
            contract_put_bool(&self.plan, row, field, value == Py_True)
        else:
            self._put_other(field, <object>value, row)
        return 0

    @cython.final
    cdef int _put_text(self, Py_ssize_t field, str text, const RowBuffers* row) except -1:
        cdef const char* characters
        cdef Py_ssize_t length
        try:
            characters = PyUnicode_AsUTF8AndSize(<PyObject*>text, &length)
        except UnicodeEncodeError:
            # Half a surrogate pair is no text.
            contract_put_broken(row, field, BROKE_TYPE)
            return 0
        contract_put_text(&self.plan, row, field, characters, length)
        pattern = self._patterns[field]
        if pattern is not None and row.rules[field] == 0 and pattern.fullmatch(text) is None:
            put(row, field, row.values[field], BROKE_PATTERN)
        return 0

    @cython.final
    cdef int _put_large(self, Py_ssize_t field, value, const RowBuffers* row) except -1:
        """Put a whole number that int64 cannot hold."""
        cdef const FieldPlan* rules = &self.plan.fields[field]
        cdef double number
        try:
            number = value
        except OverflowError:
            number = INFINITY if value > 0 else -INFINITY
        if rules.kind == VALUE_INTEGER:
            put(row, field, number, BROKE_OVERFLOW)
        elif rules.kind in (VALUE_FLOAT32, VALUE_FLOAT64) and isinf(number):
            put(row, field, number, BROKE_OVERFLOW)
        else:
            contract_put_double(&self.plan, row, field, number)
        return 0

    @cython.final
    cdef int _put_other(self, Py_ssize_t field, value, const RowBuffers* row) except -1:
        """Put NumPy's scalars, subclasses, bytes and vectors; all else is of a wrong type."""
        plain = plain_value(value)
        if plain is NotImplemented and self.plan.fields[field].kind == VALUE_VECTOR:
            return self._put_vector(field, value, row)
        if plain is NotImplemented:
            contract_put_broken(row, field, BROKE_TYPE)
            return 0
        return self._put(field, <PyObject*>plain, row)

    @cython.final
    cdef int _put_vector(self, Py_ssize_t field, value, const RowBuffers* row) except -1:
        cdef const FieldPlan* rules = &self.plan.fields[field]
        cdef const float[::1] elements
        if not isinstance(value, (np.ndarray, list, tuple)):
            contract_put_broken(row, field, BROKE_TYPE)
            return 0
        try:
            array = np.asarray(value)
        except (ValueError, OverflowError):
            contract_put_broken(row, field, BROKE_SHAPE)
            return 0
        if array.dtype.kind not in "iuf":
            contract_put_broken(row, field, BROKE_TYPE)
        elif array.shape != self._shapes[field]:
            contract_put_broken(row, field, BROKE_SHAPE)
        else:
            with np.errstate(over="ignore"):
                single = np.ascontiguousarray(array, dtype=np.float32).reshape(-1)
            if np.any(np.isinf(single) & ~np.isinf(array.reshape(-1))):
                contract_put_broken(row, field, BROKE_OVERFLOW)
            else:
                elements = single
                contract_put_vector(&self.plan, row, field, &elements[0], rules.size)
        return 0


cdef inline Py_ssize_t find(const ContractPlan* plan, PyObject* key) noexcept:
    """Return the index of the field that a key names, or a negative number."""
    # Field names are ASCII.
    if not PyUnicode_Check(key) or not PyUnicode_IS_COMPACT_ASCII(key):
        return -1
    return contract_field(plan, ascii_data(key), PyUnicode_GET_LENGTH(key))


cdef plain_value(value):
    """Return the plain Python value of a scalar, or NotImplemented."""
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, np.floating):
        return float(value)
    if isinstance(value, np.integer) and not isinstance(value, np.timedelta64):
        return int(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return NotImplemented
    return NotImplemented
