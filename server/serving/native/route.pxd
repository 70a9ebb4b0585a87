# A route's targets, and what decides between them.

from cpython.ref cimport PyObject
from libc.stdint cimport uint64_t

from gnomon.server.serving.native.buffer cimport slice

# The sum of a route's weights.
cdef enum:
    WEIGHT_TOTAL = 1000

ctypedef struct RoutePlan:
    int count
    PyObject** targets
    # By target: its version, the position below which its share ends, its clients' counts.
    slice* versions
    int* until
    uint64_t** counts
    # Counts of those who were turned away.
    uint64_t* turned_away
    # The text before a key, and before a request's identity, when its bucket is computed.
    slice sticky
    slice shadowed
    # The share of requests, in 1,000, that any shadow receives.
    int shadow_share
    uint64_t hash
    # The name as a refusal says it.
    slice quoted_name


cdef class NativeRoute:
    cdef RoutePlan plan
    cdef list _kept
    cdef slice _keep(self, bytes text)
    cdef void* _room(self, size_t count, size_t size) except NULL


cdef int position_of(slice before, slice key) noexcept nogil
cdef int target_at(const RoutePlan* plan, int position) noexcept nogil
# The first target of a version, or -1.
cdef int target_of(const RoutePlan* plan, slice version) noexcept nogil
