"""One row at a time through a session: packed, run without the GIL and read in fixed buffers."""

cimport cython
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.string cimport memcpy

from gnomon.core.packing.loop cimport TensorPacker, pack_row
from gnomon.core.row cimport Row
from gnomon.runtime.engines.ort_session cimport Session
from gnomon.runtime.engines.ort_values cimport (
    ELEMENT_FLOAT32, ELEMENT_FLOAT64, TensorView, check, element_size, packed_element_type, release,
    wrap,
)

import numpy as np

from gnomon.runtime.engines.ort_values import SessionClosed, SessionError

__all__ = ["OrtRowRunner"]


@cython.final
cdef class OrtRowRunner:
    cdef Session session
    cdef tuple _packers
    cdef TensorView* _views
    cdef void** _arguments
    cdef void** _values
    cdef Py_ssize_t _tensors
    cdef list _dtypes

    def __cinit__(self, Session session not None, packers):
        """Lay out inputs and outputs of one row; `packers` are by the inputs' names."""
        self.session = session
        self._tensors = session.input_count + session.output_count
        self._views = <TensorView*>PyMem_Calloc(self._tensors + 1, sizeof(TensorView))
        self._arguments = <void**>PyMem_Calloc(self._tensors + 1, sizeof(void*))
        if self._views == NULL or self._arguments == NULL:
            raise MemoryError
        self._values = self._arguments + session.input_count
        missing = [name for name, _, _ in session.inputs if name not in packers]
        if missing:
            raise SessionError(f"tensor {missing[0]!r} is missing")
        self._packers = tuple([packers[name] for name, _, _ in session.inputs])
        self._dtypes = [entry[1] for entry in session.outputs]
        for index in range(session.input_count):
            self._lay_out_input(index, self._packers[index])
        for index in range(session.output_count):
            self._lay_out_output(index, session.outputs[index])

    def __dealloc__(self):
        for index in range(self._tensors):
            if self._arguments != NULL:
                release(self._arguments[index])
            if self._views != NULL:
                PyMem_Free(self._views[index].data)
        PyMem_Free(self._arguments)
        PyMem_Free(self._views)

    def run(self, Row row not None):
        """Return each output, in the session's order: a number, or an array of one row."""
        cdef Py_ssize_t index
        cdef TensorPacker packer
        cdef void* status
        if not self.session.enter():
            raise SessionClosed("the session is closed")
        try:
            for index in range(self.session.input_count):
                packer = <TensorPacker>self._packers[index]
                if row.fields < packer.fields or row.vector_size < packer.vector_size:
                    raise SessionError("the row was made by another contract than the packing")
                pack_row(
                    &packer.plan, row.value_buffer, row.vector_buffer, self._views[index].data
                )
            with nogil:
                status = self.session.run_values(self._arguments, self._values)
            check(status)
        finally:
            self.session.leave()
        return [self._read(index) for index in range(self.session.output_count)]

    cdef _lay_out_input(self, Py_ssize_t index, TensorPacker packer):
        cdef TensorView* view = &self._views[index]
        name, dtype, _ = self.session.inputs[index]
        view.element_type = packed_element_type(packer.plan.type)
        if view.element_type != self.session.input_types[index]:
            raise SessionError(f"the packing of tensor {name!r} does not give {dtype}")
        view.rank = 2
        view.shape[0] = 1
        view.shape[1] = packer.width
        self._make(index, packer.width)

    cdef _lay_out_output(self, Py_ssize_t index, entry):
        cdef Py_ssize_t place = self.session.input_count + index
        cdef TensorView* view = &self._views[place]
        cdef Py_ssize_t count = 1
        name, _, shape = entry
        if shape[:1] not in ((-1,), (1,)) or -1 in shape[1:]:
            raise SessionError(f"output {name!r} has no fixed shape but for its rows")
        view.element_type = self.session.output_types[index]
        view.rank = len(shape)
        for axis in range(len(shape)):
            view.shape[axis] = 1 if shape[axis] == -1 else shape[axis]
            count *= view.shape[axis]
        self._make(place, count)

    cdef _make(self, Py_ssize_t place, Py_ssize_t count):
        """Give a tensor its memory and its value."""
        cdef TensorView* view = &self._views[place]
        view.size = count * element_size(view.element_type)
        view.data = PyMem_Calloc(view.size + 1, 1)
        if view.data == NULL:
            raise MemoryError
        check(wrap(view, &self._arguments[place]))

    cdef _read(self, Py_ssize_t index):
        cdef TensorView* view = &self._views[self.session.input_count + index]
        cdef char[::1] target
        if view.size == element_size(view.element_type):
            if view.element_type == ELEMENT_FLOAT32:
                return <double>(<float*>view.data)[0]
            if view.element_type == ELEMENT_FLOAT64:
                return (<double*>view.data)[0]
        array = np.empty(view.size, np.int8)
        target = array
        memcpy(&target[0], view.data, view.size)
        shape = tuple([view.shape[axis] for axis in range(<Py_ssize_t>view.rank)])
        return array.view(self._dtypes[index]).reshape(shape)
