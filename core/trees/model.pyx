"""Decision trees of one model file, read in place and run without the GIL; see `trees.h`."""

from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.stdint cimport uint64_t, uintptr_t

import numpy as np

__all__ = ["TreeFileError", "TreeModel", "log_float32"]

cdef extern from "<math.h>" nogil:
    float logf(float)

cdef extern from "trees.h":
    enum trees_fault:
        TREES_GOOD
        TREES_NO_MEMORY

    trees_fault trees_open "gnomon_trees_open"(trees*, const void*, size_t, uint64_t*) nogil
    void trees_close "gnomon_trees_close"(trees*) nogil
    size_t trees_scratch "gnomon_trees_scratch"(const trees*) nogil
    size_t trees_answers "gnomon_trees_answers"(const trees*) nogil
    void trees_rows "gnomon_trees_rows"(
        const trees*, const double*, size_t, double*, double*
    ) nogil
    void trees_link "gnomon_trees_link"(const trees*, double*) nogil

# By `enum trees_fault`.
FAULTS = (
    "",
    "",
    "its sections do not fill it exactly",
    "it does not begin with 'gnmtrees'",
    "its version is not 1",
    "its header has a number beyond the bounds",
    "its header has a number that is not finite or zero",
    "slot {1} has no such feature or flags",
    "tree {0} has no such nodes, depth or output",
    "tree {0}, node {1}: no such child, slot, threshold or leaf",
    "tree {0}, node {1}: no such set of categories",
    "value {1} of its leaves is not finite",
    "tree {0} has another depth than its entry says",
)


class TreeFileError(ValueError):
    """The bytes are no model of trees."""


def log_float32(float number):
    return logf(number)


cdef class TreeModel:
    def __cinit__(self, file):
        """Open the bytes of a file, which are checked and kept."""
        array = np.frombuffer(file, np.uint8)
        if array.ctypes.data % 8:
            array = np.frombuffer(np.array(array).tobytes(), np.uint8)
        if array.ctypes.data % 8:
            raise MemoryError
        self._file = array
        cdef const void* data = <const void*><uintptr_t>array.ctypes.data
        cdef size_t size = len(array)
        cdef uint64_t[2] place
        cdef trees_fault fault
        with nogil:
            fault = trees_open(&self.model, data, size, place)
        if fault == TREES_NO_MEMORY:
            raise MemoryError
        if fault != TREES_GOOD:
            raise TreeFileError(FAULTS[<int>fault].format(place[0], place[1]))
        self.features, self.outputs = self.model.head.features, self.model.head.outputs
        self.answers = trees_answers(&self.model)
        self.scratch_size = trees_scratch(&self.model)

    def __dealloc__(self):
        trees_close(&self.model)

    @property
    def text(self):
        return self.model.text[:<Py_ssize_t>self.model.head.text_bytes]

    @property
    def tree_count(self):
        return self.model.head.trees

    @property
    def node_count(self):
        return self.model.head.nodes

    @property
    def is_float32(self):
        return (self.model.head.flags & TREES_FLOAT_ANSWER) != 0

    @property
    def takes_missing(self):
        return (self.model.head.flags & TREES_TAKES_MISSING) != 0

    @property
    def has_link(self):
        return self.model.head.link != LINK_IDENTITY

    def scores(self, const double[:, ::1] rows not None):
        """Return the raw scores of rows, (rows, outputs)."""
        return self._scores(rows, False)

    def scores_alone(self, const double[:, ::1] rows not None):
        """Return the raw scores of rows that are run one by one, as requests come."""
        return self._scores(rows, False, True)

    def predict(self, const double[:, ::1] rows not None):
        """Return the answers to rows, (rows, answers)."""
        return self._scores(rows, True)[:, :self.answers]

    def _scores(self, const double[:, ::1] rows, bint linked, bint alone=False):
        cdef Py_ssize_t count = rows.shape[0], row
        if rows.shape[1] != self.features:
            raise ValueError(f"rows have {rows.shape[1]} numbers; the model takes {self.features}")
        scores = np.empty((count, self.outputs))
        cdef double[:, ::1] target = scores
        cdef double* scratch = <double*>PyMem_Malloc(self.scratch_size * sizeof(double))
        if scratch == NULL:
            raise MemoryError
        if count:
            with nogil:
                if alone:
                    for row in range(count):
                        self.run(&rows[row, 0], 1, &target[row, 0], scratch)
                else:
                    self.run(&rows[0, 0], count, &target[0, 0], scratch)
                if linked:
                    for row in range(count):
                        self.link(&target[row, 0])
        PyMem_Free(scratch)
        return scores

    cdef void run(
        self, const double* rows, Py_ssize_t count, double* scores, double* scratch
    ) noexcept nogil:
        trees_rows(&self.model, rows, count, scores, scratch)

    cdef void link(self, double* scores) noexcept nogil:
        trees_link(&self.model, scores)
