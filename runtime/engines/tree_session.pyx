"""A model of trees, run for native code, for columns, and for one row in fixed buffers."""

cimport cython
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.stdint cimport uintptr_t

from gnomon.core.packing.loop cimport TENSOR_FLOAT64, TensorPacker, pack_row
from gnomon.core.row cimport Row
from gnomon.core.trees.model cimport TreeModel
from gnomon.runtime.engines.ort_values cimport (
    ELEMENT_FLOAT32, ELEMENT_FLOAT64, TensorView, element_size,
)

import numpy as np

from gnomon.runtime.engines.ort_values import SessionClosed, SessionError

__all__ = ["TreeRowRunner", "TreeSession"]

cdef enum:
    BLOCK_ROWS = 64
    # A model of so many trees lets other threads run meanwhile.
    LARGE = 200

INPUT, PREDICTION, RAW_SCORE = "input", "prediction", "raw_score"


cdef class TreeSession(EngineSession):
    def __cinit__(self, TreeModel model not None, outputs):
        """Take a model into service; `outputs` names those that are asked for."""
        self.model = model
        self.gives = describe(model)
        known = {entry[0]: entry for entry in self.gives}
        missing = [name for name in outputs if name not in known]
        if missing or len(outputs) > 2:
            raise SessionError(f"the model has no output {missing}; it has {', '.join(known)}")
        self.inputs = ((INPUT, np.dtype(np.float64), (-1, model.features)),)
        self.outputs = tuple([known[name] for name in outputs])
        self.input_count, self.output_count = 1, len(outputs)
        self.input_types = <int*>PyMem_Calloc(1, sizeof(int))
        self.output_types = <int*>PyMem_Calloc(self.output_count + 1, sizeof(int))
        if self.input_types == NULL or self.output_types == NULL:
            raise MemoryError
        self.input_types[0] = ELEMENT_FLOAT64
        for index, (name, dtype, shape) in enumerate(self.outputs):
            self.is_raw[index] = name == RAW_SCORE
            self.widths[index] = shape[1]
            self.output_types[index] = ELEMENT_FLOAT32 if dtype == np.float32 else ELEMENT_FLOAT64
        self.scratch_bytes = (model.scratch_size + BLOCK_ROWS * model.outputs) * sizeof(double)

    def run(self, tensors):
        """Return the outputs of a mapping of tensors by name."""
        rows = tensors.get(INPUT)
        if rows is None:
            raise SessionError(f"tensor {INPUT!r} is missing")
        if rows.dtype != np.float64 or rows.ndim != 2 or rows.shape[1] != self.model.features:
            raise SessionError(
                f"tensor {INPUT!r} is {rows.dtype} of shape {rows.shape}, expected float64 of "
                f"(rows, {self.model.features})"
            )
        if not rows.flags.c_contiguous:
            raise ValueError(f"tensor {INPUT!r} is not contiguous")
        if self.closing:
            raise SessionClosed("the session is closed")
        cdef Py_ssize_t count = len(rows), index
        cdef TensorView[3] views
        cdef double* scratch = <double*>PyMem_Calloc(self.scratch_bytes, 1)
        if scratch == NULL:
            raise MemoryError
        try:
            made = {name: np.empty((count, shape[1]), dtype) for name, dtype, shape in self.outputs}
            views[0].data = <void*><uintptr_t>rows.ctypes.data
            for index, name in enumerate(made):
                views[1 + index].data = <void*><uintptr_t>made[name].ctypes.data
            with nogil:
                self.run_rows(count, views, NULL, scratch)
        finally:
            PyMem_Free(scratch)
        return made

    cdef int run_rows(
        self, Py_ssize_t rows, const TensorView* views, void** values, void* scratch
    ) noexcept nogil:
        cdef Py_ssize_t done = 0, count, row
        cdef double* own = <double*>scratch
        cdef double* scores = own + self.model.scratch_size
        while done < rows:
            count = min(rows - done, <Py_ssize_t>BLOCK_ROWS)
            self.model.run(
                <const double*>views[0].data + done * self.model.features, count, scores, own
            )
            self._write_all(True, scores, views, done, count)
            # In place.
            for row in range(count):
                self.model.link(scores + row * self.model.outputs)
            self._write_all(False, scores, views, done, count)
            done += count
        return 0

    cdef void _write_all(
        self, bint raw, double* scores, const TensorView* views, Py_ssize_t done, Py_ssize_t count
    ) noexcept nogil:
        """Write the outputs that are raw scores, or those that are not."""
        cdef Py_ssize_t index, size
        for index in range(self.output_count):
            size = self.widths[index] * element_size(self.output_types[index])
            if self.is_raw[index] == raw:
                self._write(index, scores, count, <char*>views[1 + index].data + done * size)

    cdef void _write(
        self, Py_ssize_t output, double* scores, Py_ssize_t rows, char* target
    ) noexcept nogil:
        cdef Py_ssize_t row, place, width = self.widths[output]
        for row in range(rows):
            for place in range(width):
                if self.output_types[output] == ELEMENT_FLOAT32:
                    (<float*>target)[row * width + place] = <float>scores[place]
                else:
                    (<double*>target)[row * width + place] = scores[place]
            scores += self.model.outputs


@cython.final
cdef class TreeRowRunner:
    cdef TreeSession session
    cdef TensorPacker _packer
    cdef TensorView[3] _views
    cdef object _room
    cdef object _arrays
    cdef void* _scratch

    def __cinit__(self, TreeSession session not None, packers):
        """Lay out the buffers of one row; `packers` are by the inputs' names."""
        self.session = session
        self._packer = packers.get(INPUT)
        if self._packer is None or self._packer.plan.type != TENSOR_FLOAT64:
            raise SessionError(f"the packing does not give tensor {INPUT!r} of float64")
        if self._packer.width != session.model.features:
            raise SessionError(
                f"the packing gives {self._packer.width} columns; the model takes "
                f"{session.model.features}"
            )
        self._arrays = [np.zeros((1, shape[1]), dtype) for _, dtype, shape in session.outputs]
        self._room = np.zeros(session.model.features + session.scratch_bytes // sizeof(double))
        self._views[0].data = <void*><uintptr_t>self._room.ctypes.data
        self._scratch = <double*>self._views[0].data + session.model.features
        for index, array in enumerate(self._arrays):
            self._views[1 + index].data = <void*><uintptr_t>array.ctypes.data

    def run(self, Row row not None):
        """Return each output, in the session's order: a number, or an array of one row."""
        if self.session.closing:
            raise SessionClosed("the session is closed")
        if row.fields < self._packer.fields or row.vector_size < self._packer.vector_size:
            raise SessionError("the row was made by another contract than the packing")
        pack_row(&self._packer.plan, row.value_buffer, row.vector_buffer, self._views[0].data)
        if self.session.model.model.head.trees < LARGE:
            self.session.run_rows(1, self._views, NULL, self._scratch)
        else:
            with nogil:
                self.session.run_rows(1, self._views, NULL, self._scratch)
        return [self._read(index) for index in range(self.session.output_count)]

    cdef _read(self, Py_ssize_t index):
        cdef const void* data = self._views[1 + index].data
        if self.session.widths[index] != 1:
            return self._arrays[index].copy()
        if self.session.output_types[index] == ELEMENT_FLOAT32:
            return <double>(<const float*>data)[0]
        return (<const double*>data)[0]


cdef tuple describe(TreeModel model):
    """Return what a model gives; vectors are float32, as a contract has them."""
    cdef list gives = []
    for name, width in ((PREDICTION, model.answers), (RAW_SCORE, model.outputs)):
        is_double = width == 1 and not model.is_float32
        if name == PREDICTION or model.has_link:
            gives.append((name, np.dtype(np.float64 if is_double else np.float32), (-1, width)))
    return tuple(gives)
