"""A loaded model as native code sees it: what it takes and gives, and who is in it."""

from cpython.mem cimport PyMem_Free

__all__ = ["EngineSession"]


cdef class EngineSession:
    def __dealloc__(self):
        PyMem_Free(self.input_types)
        PyMem_Free(self.output_types)

    def close(self):
        """Give back all that the session holds, at the latest when the calls in it have ended."""
        cdef bint idle
        with self.guard:
            self.closing = True
            idle = self.running == 0
            if idle:
                self._free()

    cdef bint enter(self) noexcept nogil:
        cdef bint open = False
        with self.guard:
            open = not self.closing
            self.running += open
        return open

    cdef void leave(self) noexcept nogil:
        with self.guard:
            self.running -= 1
            if self.closing and self.running == 0:
                self._free()

    cdef int run_rows(
        self, Py_ssize_t rows, const TensorView* views, void** values, void* scratch
    ) noexcept nogil:
        return -1

    cdef void _free(self) noexcept nogil:
        pass
