# A route that is answered without the GIL: contract → packing → engine → contract → window.

from cpython.ref cimport PyObject
from libc.stdint cimport int64_t, uint8_t, uint64_t

from gnomon.core.contract.plan cimport CompiledContract, ContractPlan, RowBuffers
from gnomon.core.packing.loop cimport TensorPlan
from gnomon.runtime.recording.direct_counter cimport DirectCounter
from gnomon.runtime.engines.ort_session cimport Session
from gnomon.runtime.engines.ort_values cimport TensorView
from gnomon.server.serving.native.answer cimport output
from gnomon.server.serving.native.buffer cimport buffer, slice
from gnomon.server.serving.native.message cimport request, tensor

# What becomes of a request: taken, refused at a gate, or declined, so that Python answers it.
cdef enum Declined:
    TAKEN = 0
    NOT_USUAL = 1
    NO_TARGET = 2
    NO_WINDOW = 3
    NOT_FOR_TARGET = 4
    BROKEN_RULE = 5
    ENGINE_FAILED = 6
    TOO_SLOW = 7
    NO_CREDENTIAL = 8
    REFUSED = 9
    DECLINED_REASONS = 10

# Stages of a request; each ends where the next begins.
cdef enum Stage:
    STAGE_READ = 0
    STAGE_CHECK_INPUTS = 1
    STAGE_RUN = 2
    STAGE_CHECK_OUTPUTS = 3
    STAGE_WRITE = 4
    STAGE_COUNT = 5
    STAGES = 6

cdef enum:
    # One request of so many is timed stage by stage; a prime, in step with no block of a window.
    TIMED_OF = 61

ctypedef struct StageClock:
    uint64_t seen
    uint64_t timed
    int64_t[STAGES] stage_ns
    int64_t last_ns
    bint is_timed

# A request on its way along a target. Times: nanoseconds of the monotonic clock, epoch seconds.
ctypedef struct RequestContext:
    request* asked
    slice identity
    int64_t started
    double moment
    double slow_ns
    StageClock* clock
    buffer* out


cdef class NativeTarget:
    cdef const ContractPlan* inputs
    cdef const ContractPlan* outputs
    cdef Session session
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
    # For each number of rows: the values of inputs, then of outputs.
    cdef void** _bound
    cdef Py_ssize_t _bound_count
    # The encoded name and version; the encoded parameters; the version.
    cdef slice head
    cdef slice parameters
    cdef slice version
    cdef readonly double usual_ns

    cdef _plan_outputs(self, specs)
    cdef void* _room(self, size_t count, size_t size) except NULL
    cdef _plan_output(self, output* plan, Py_ssize_t index, dict spec)
    cdef slice _keep(self, bytes text)
    cdef RowBuffers input_row(self, Py_ssize_t row) noexcept nogil
    cdef RowBuffers output_row(self, Py_ssize_t row) noexcept nogil
    cdef int put_inputs(self, const request* asked, Py_ssize_t rows) noexcept nogil
    cdef int put_vectors(self, Py_ssize_t field, const tensor* given) noexcept nogil
    cdef int put_scalars(self, Py_ssize_t field, const tensor* given) noexcept nogil
    cdef void** bound(self, Py_ssize_t rows) noexcept nogil
    cdef int bind(self, Py_ssize_t rows) noexcept nogil
    cdef int run(self, Py_ssize_t rows) noexcept nogil
    cdef int put_outputs(self, Py_ssize_t rows) noexcept nogil
    cdef int put_output(
        self, const RowBuffers* row, Py_ssize_t field, Py_ssize_t place
    ) noexcept nogil
    cdef bint is_for(self, const request* asked) noexcept nogil
    cdef bint count(
        self, Py_ssize_t rows, const slice* identity, int64_t latency_ns, double moment
    ) noexcept nogil
    cdef uint64_t wanted_outputs(self, const request* asked) noexcept nogil


# How a table calls a target that it holds as a pointer.
ctypedef Declined (*ServeTarget)(PyObject*, RequestContext*) noexcept nogil

cdef int read_request(const uint8_t* data, size_t size, request* asked) noexcept nogil
cdef Declined serve_target(NativeTarget target, RequestContext* context) noexcept nogil
cdef void stage_ended(StageClock* clock, Stage stage) noexcept nogil
cdef int64_t monotonic_ns() noexcept nogil
