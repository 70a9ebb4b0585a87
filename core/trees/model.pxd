# A model of trees for other extensions, without the GIL; trees.h says what each function does.

from libc.stdint cimport uint32_t, uint64_t

cdef extern from "trees.h":
    enum:
        TREES_FLOAT_SUMS
        TREES_TAKES_MISSING
        TREES_FLOAT_ANSWER
        LINK_IDENTITY

    struct tree_header:
        uint32_t version
        uint32_t features
        uint32_t outputs
        uint32_t trees
        uint32_t flags
        uint32_t link
        uint64_t nodes
        uint64_t text_bytes

    struct trees:
        tree_header head
        const char* text


cdef class TreeModel:
    cdef trees model
    cdef object _file
    cdef readonly Py_ssize_t features
    cdef readonly Py_ssize_t outputs
    # Numbers of an answer; one for a link that names a class.
    cdef readonly Py_ssize_t answers
    cdef readonly Py_ssize_t scratch_size

    # Raw scores of rows of `features` numbers; `scratch` has `scratch_size` numbers of its own.
    cdef void run(
        self, const double* rows, Py_ssize_t count, double* scores, double* scratch
    ) noexcept nogil
    # The raw scores of one row to its answers, in place.
    cdef void link(self, double* scores) noexcept nogil
