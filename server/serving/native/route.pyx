"""A route that is answered without the GIL: its targets, and what decides between them."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcmp

from gnomon.core.blake2b cimport blake2b, blake2b_add, blake2b_begin, blake2b_end
from gnomon.server.serving.admission.client_counts cimport ClientCounts
from gnomon.server.serving.native.target cimport NativeTarget

import urllib.parse

__all__ = ["NativeRoute"]

#: How much of a name a refusal says.
NAME_CHARACTERS = 80


cdef class NativeRoute:
    def __cinit__(self, name, targets, turned_away, int shadow_share):
        cdef ClientCounts counts
        cdef NativeTarget target
        cdef Py_ssize_t index
        cdef int until = 0
        self._kept = [targets, turned_away]
        self.plan.count = len(targets)
        self.plan.targets = <PyObject**>self._room(len(targets), sizeof(PyObject*))
        self.plan.versions = <slice*>self._room(len(targets), sizeof(slice))
        self.plan.until = <int*>self._room(len(targets), sizeof(int))
        self.plan.counts = <uint64_t**>self._room(len(targets), sizeof(uint64_t*))
        for index, (target, weight, counts) in enumerate(targets):
            until += weight
            self.plan.targets[index] = <PyObject*>target
            self.plan.versions[index] = target.version
            self.plan.until[index] = until
            self.plan.counts[index] = &counts.counts[0]
        if not targets or until != WEIGHT_TOTAL:
            raise ValueError(f"the weights of {name!r} add up to {until}, not to {WEIGHT_TOTAL}")
        counts = turned_away
        self.plan.turned_away = &counts.counts[0]
        self.plan.shadow_share = shadow_share
        self.plan.hash = <uint64_t><Py_hash_t>hash(name)
        self.plan.sticky = self._keep(f"{name}\0".encode())
        self.plan.shadowed = self._keep(f"{name}\0shadow\0".encode())
        quoted = urllib.parse.quote(
            repr(name[:NAME_CHARACTERS]), safe=" '!\"#$&()*+,/:;<=>?@[]^`{|}"
        )
        self.plan.quoted_name = self._keep(quoted.encode() + b"\0")

    def choose(self, key):
        """Return the place of the target that a key sticks to; for tests."""
        cdef bytes text = key.encode()
        cdef slice given = slice(<const uint8_t*>PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))
        return target_at(&self.plan, position_of(self.plan.sticky, given))

    def is_shadowed(self, identity):
        """Return whether a request is of the share that shadows receive; for tests."""
        cdef bytes text = identity.encode()
        cdef slice given = slice(<const uint8_t*>PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))
        return position_of(self.plan.shadowed, given) < self.plan.shadow_share

    cdef slice _keep(self, bytes text):
        self._kept.append(text)
        return slice(<const uint8_t*>PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))

    cdef void* _room(self, size_t count, size_t size) except NULL:
        """Return zeroed memory that lives as long as the route."""
        cdef bytearray memory = bytearray(count * size + 1)
        self._kept.append(memory)
        return <void*><char*>memory


cdef int position_of(slice before, slice key) noexcept nogil:
    """Return the bucket of a key, as `gnomon.runtime.routing.routes.bucket_of` does."""
    cdef blake2b hash
    cdef uint8_t[8] digest
    cdef uint64_t number = 0
    cdef int index
    blake2b_begin(&hash, 8, NULL, 0)
    blake2b_add(&hash, before.data, before.size)
    blake2b_add(&hash, key.data, key.size)
    blake2b_end(&hash, digest)
    for index in range(8):
        number = number << 8 | digest[index]
    return <int>(number % WEIGHT_TOTAL)


cdef int target_at(const RoutePlan* plan, int position) noexcept nogil:
    cdef int index = 0
    while plan.until[index] <= position:
        index += 1
    return index


cdef int target_of(const RoutePlan* plan, slice version) noexcept nogil:
    cdef int index
    for index in range(plan.count):
        if plan.versions[index].size == version.size and (
            memcmp(plan.versions[index].data, version.data, version.size) == 0
        ):
            return index
    return -1
