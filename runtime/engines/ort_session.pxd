# ONNX Runtime's C interface: the session, and how native code runs it without the GIL.

from gnomon.runtime.engines.engine_session cimport EngineSession
from gnomon.runtime.engines.ort_values cimport TensorView


cdef class Session(EngineSession):
    cdef void* handle
    cdef void* options
    cdef list _kept
    cdef const char** input_names
    cdef const char** output_names
    cdef readonly tuple gives

    # Runs on `input_count` tensors; fills `output_count` values. NULL, or a status to read and
    # release with status_text(). Allowed between enter() and leave() only.
    cdef void* run_views(self, const TensorView* tensors, void** values) noexcept nogil
    # The same on values that were made before; an output that is not NULL is written into.
    cdef void* run_values(self, void** arguments, void** values) noexcept nogil

    cdef _read_signature(self, outputs)
    cdef _describe(self, bint is_input, Py_ssize_t index, int* element_type)
