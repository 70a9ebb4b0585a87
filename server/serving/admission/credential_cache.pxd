# Callers who have shown who they are, found again without the GIL by what they show.

cimport cython
from libc.stdint cimport uint8_t, uint64_t

from gnomon.core.blake2b cimport blake2b

cdef enum:
    TAG_BYTES = 16

# Bytes that another owner holds.
ctypedef struct Text:
    const uint8_t* data
    size_t size

cdef enum Shown:
    # An unknown caller: Python finds out who it is.
    SHOWN_NOTHING = 0
    SHOWN_CREDENTIAL = 1
    SHOWN_OTHER_MODELS = 2

# What a target needs of a caller: the hash of the name, and the place among the clients counted.
ctypedef struct Principal:
    uint64_t caller
    int client

ctypedef struct CachedCredential:
    uint8_t[TAG_BYTES] tag
    double expires
    Principal principal
    # The hashes of the models that may be called; NULL: all.
    const uint64_t* models
    int model_count


cdef class CredentialCache:
    cdef cython.pymutex guard
    cdef blake2b _keyed
    cdef CachedCredential* _credentials
    cdef list _kept
    cdef double _valid_until
    cdef int _turn
    cdef readonly uint64_t generation

    # `moment` in epoch seconds, `now` in seconds of the monotonic clock.
    cdef Shown look(
        self, Text authorization, Text certificate, uint64_t model, double moment, double now,
        Principal* principal
    ) noexcept nogil
    cdef void _tag(self, Text authorization, Text certificate, uint8_t* tag) noexcept nogil
    cdef CachedCredential* _find(self, const uint8_t* tag, double moment) noexcept nogil
