# A route that is answered without the GIL: contract → packing → engine → contract → window.

from cpython.ref cimport PyObject
from libc.stdint cimport int64_t, uint8_t, uint64_t

from gnomon.core.contract.plan cimport RowBuffers
from gnomon.server.serving.native.buffer cimport buffer, slice
from gnomon.server.serving.native.message cimport request, tensor
from gnomon.server.serving.native.stages cimport StageClock
from gnomon.server.serving.native.target_buffers cimport TargetBuffers

# What becomes of a request: taken, refused by admission, or declined, so that Python answers it.
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

# A request on its way along a target. Times: nanoseconds of the monotonic clock, epoch seconds.
ctypedef struct RequestContext:
    request* message
    slice identity
    int64_t started
    double moment
    double slow_ns
    StageClock* clock
    buffer* out


cdef class NativeTarget(TargetBuffers):
    cdef readonly double usual_ns

    cdef int put_inputs(self, const request* message, Py_ssize_t rows) noexcept nogil
    cdef int put_vectors(self, Py_ssize_t field, const tensor* given) noexcept nogil
    cdef int put_scalars(self, Py_ssize_t field, const tensor* given) noexcept nogil
    cdef int run(self, Py_ssize_t rows) noexcept nogil
    cdef int put_outputs(self, Py_ssize_t rows) noexcept nogil
    cdef int put_output(
        self, const RowBuffers* row, Py_ssize_t field, Py_ssize_t place
    ) noexcept nogil
    cdef bint is_for(self, const request* message) noexcept nogil
    cdef bint count(
        self, Py_ssize_t rows, const slice* identity, int64_t latency_ns, double moment
    ) noexcept nogil
    cdef uint64_t wanted_outputs(self, const request* message) noexcept nogil


# How a table calls a target that it holds as a pointer.
ctypedef Declined (*ServeTarget)(PyObject*, RequestContext*) noexcept nogil

cdef int read_request(const uint8_t* data, size_t size, request* message) noexcept nogil
cdef Declined serve_target(NativeTarget target, RequestContext* context) noexcept nogil
