# What native code needs of a loaded model, whichever engine runs it.
#
# enter(); fill one TensorView an input; run_rows(); read the views of the outputs; leave().

cimport cython

from gnomon.runtime.engines.ort_values cimport TensorView


cdef class EngineSession:
    # ONNX's numbers of element types, in the order of `inputs` and `outputs`.
    cdef int* input_types
    cdef int* output_types
    cdef readonly Py_ssize_t input_count
    cdef readonly Py_ssize_t output_count
    cdef readonly tuple inputs
    cdef readonly tuple outputs
    # Whether run_rows() takes values of ONNX Runtime over the views.
    cdef readonly bint takes_values
    # Bytes that run_rows() needs for itself.
    cdef readonly Py_ssize_t scratch_bytes
    cdef cython.pymutex guard
    cdef int running
    cdef bint closing

    # False if the session is closed; each True needs one leave(). Any thread.
    cdef bint enter(self) noexcept nogil
    cdef void leave(self) noexcept nogil
    # Run `rows` rows: inputs, then outputs, are the views' data and belong to the caller. 0, or -1
    # if the model fails. Allowed between enter() and leave() only; any thread.
    cdef int run_rows(
        self, Py_ssize_t rows, const TensorView* views, void** values, void* scratch
    ) noexcept nogil
    # Give back what the engine holds, once closed and idle.
    cdef void _free(self) noexcept nogil
