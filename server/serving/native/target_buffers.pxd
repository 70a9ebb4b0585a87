# The memory of a native target: rows, tensors, and the engine's values over them.

from libc.stdint cimport uint8_t

from gnomon.core.contract.plan cimport CompiledContract, ContractPlan, RowBuffers
from gnomon.core.packing.loop cimport TensorPlan
from gnomon.runtime.engines.engine_session cimport EngineSession
from gnomon.runtime.engines.ort_values cimport TensorView
from gnomon.runtime.recording.direct_counter cimport DirectCounter
from gnomon.server.serving.native.answer cimport output
from gnomon.server.serving.native.buffer cimport slice


cdef class TargetBuffers:
    cdef const ContractPlan* inputs
    cdef const ContractPlan* outputs
    cdef EngineSession session
    cdef readonly DirectCounter counter
    cdef const TensorPlan** packers
    cdef output* plans
    cdef readonly Py_ssize_t row_limit
    cdef list _kept
    cdef double* _values
    cdef uint8_t* _status
    cdef uint8_t* _rules
    cdef float* _vectors
    cdef double* _output_values
    cdef uint8_t* _output_status
    cdef uint8_t* _output_rules
    cdef float* _output_vectors
    cdef uint8_t* _seen
    cdef uint8_t* _flat
    cdef float* _scratch
    cdef TensorView* _views
    cdef void* _engine_scratch
    # For each number of rows: the values of inputs, then of outputs.
    cdef void** _bound
    cdef Py_ssize_t _bound_count
    # The encoded name and version; the encoded parameters; the version.
    cdef slice head
    cdef slice parameters
    cdef slice version

    cdef _allocate(self, flat)
    cdef _plan_outputs(self, specs)
    cdef void* _room(self, size_t count, size_t size) except NULL
    cdef _plan_output(self, output* plan, Py_ssize_t index, dict spec)
    cdef slice _keep(self, bytes text)
    # The buffers of a row for contracts.
    cdef RowBuffers input_row(self, Py_ssize_t row) noexcept nogil
    cdef RowBuffers output_row(self, Py_ssize_t row) noexcept nogil
    # ONNX Runtime's values for a number of rows, NULL until `bind` has made them.
    cdef void** bound(self, Py_ssize_t rows) noexcept nogil
    # 0, or -1 if that fails.
    cdef int bind(self, Py_ssize_t rows) noexcept nogil
