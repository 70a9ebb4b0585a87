"""A cache of authenticated callers, searched without the GIL by their credentials.

An entry holds a tag of the credentials: keyed BLAKE2b, whose key never leaves the process. So no
key or token is in this memory, and the time of a search reveals none. A search hashes a few
dozen bytes, not a signature. The cache is set-associative: a new tag replaces another one of its
set. Rejected callers are not cached.
"""

from libc.stdint cimport uint8_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from gnomon.core.blake2b cimport blake2b, blake2b_add, blake2b_begin, blake2b_end

import math
import secrets

__all__ = ["CredentialCache"]

cdef enum:
    SETS = 1024
    WAYS = 4


cdef class CredentialCache:
    def __cinit__(self):
        secret = secrets.token_bytes(64)
        blake2b_begin(&self._keyed, TAG_BYTES, <const char*>secret, 64)
        # One byte more than a block, so that the key's block is compressed once and for all.
        blake2b_add(&self._keyed, b"\0", 1)
        self._credentials = <CachedCredential*>calloc(SETS * WAYS, sizeof(CachedCredential))
        if self._credentials == NULL:
            raise MemoryError
        self._kept = [None] * (SETS * WAYS)
        self._valid_until = math.inf

    def __dealloc__(self):
        free(self._credentials)

    def learn(self, authorization, certificate, caller, int client, double expires,
              uint64_t generation):
        """Remember who showed this, unless everybody was forgotten since the generation."""
        cdef uint8_t[TAG_BYTES] tag
        cdef CachedCredential* place
        cdef bytearray memory
        cdef Py_ssize_t index
        cdef const uint64_t* models = NULL
        # One place more, so that a list of none is no NULL, which would be all.
        memory = bytearray(8 * len(caller.models) + 8)
        if "*" not in caller.models:
            models = <const uint64_t*><char*>memory
            for index, model in enumerate(caller.models):
                (<uint64_t*>models)[index] = <uint64_t><Py_hash_t>hash(model)
        self._tag(text_of(authorization), text_of(certificate), tag)
        with self.guard:
            if generation != self.generation:
                return
            self._turn = (self._turn + 1) % WAYS
            place = self._find(tag, -math.inf)
            if place == NULL:
                place = self._credentials + set_of(tag) * WAYS + self._turn
            memcpy(place.tag, tag, TAG_BYTES)
            place.expires = expires
            place.principal.caller = <uint64_t><Py_hash_t>hash(caller.name)
            place.principal.client = client
            place.models, place.model_count = models, <int>len(caller.models)
            self._kept[place - self._credentials] = (caller, memory)

    def find(self, authorization, certificate, double moment, double now):
        """Return the caller who showed this before, or None."""
        cdef uint8_t[TAG_BYTES] tag
        cdef CachedCredential* found
        self._tag(text_of(authorization), text_of(certificate), tag)
        with self.guard:
            if now > self._valid_until:
                return None
            found = self._find(tag, moment)
            if found == NULL:
                return None
            caller = self._kept[found - self._credentials][0]
        return caller

    def forget(self):
        """Forget everybody."""
        cdef Py_ssize_t index
        with self.guard:
            self.generation += 1
            for index in range(SETS * WAYS):
                self._credentials[index].expires = -math.inf
                self._kept[index] = None

    def valid_until(self, double moment):
        """Set until when credentials hold, in seconds of the monotonic clock."""
        with self.guard:
            self._valid_until = moment

    cdef Shown look(
        self, Text authorization, Text certificate, uint64_t model, double moment, double now,
        Principal* principal
    ) noexcept nogil:
        cdef uint8_t[TAG_BYTES] tag
        cdef CachedCredential* found
        cdef Shown shown = SHOWN_NOTHING
        cdef int index
        self._tag(authorization, certificate, tag)
        with self.guard:
            found = self._find(tag, moment)
            if found != NULL and now <= self._valid_until:
                principal[0] = found.principal
                shown = SHOWN_CREDENTIAL if found.models == NULL else SHOWN_OTHER_MODELS
                if found.models != NULL:
                    for index in range(found.model_count):
                        if found.models[index] == model:
                            shown = SHOWN_CREDENTIAL
        return shown

    cdef void _tag(self, Text authorization, Text certificate, uint8_t* tag) noexcept nogil:
        cdef blake2b hash = self._keyed
        cdef uint64_t size = authorization.size
        blake2b_add(&hash, &size, sizeof(size))
        blake2b_add(&hash, authorization.data, authorization.size)
        blake2b_add(&hash, certificate.data, certificate.size)
        blake2b_end(&hash, tag)

    cdef CachedCredential* _find(self, const uint8_t* tag, double moment) noexcept nogil:
        """Return the pass of a tag that has not expired, or NULL."""
        cdef CachedCredential* first = self._credentials + set_of(tag) * WAYS
        cdef Py_ssize_t way
        for way in range(WAYS):
            if is_same_tag(first[way].tag, tag) and first[way].expires > moment:
                return &first[way]
        return NULL


cdef size_t set_of(const uint8_t* tag) noexcept nogil:
    return (<size_t>tag[0] << 8 | tag[1]) % SETS


cdef bint is_same_tag(const uint8_t* one, const uint8_t* other) noexcept nogil:
    """Compare in a time that tells nothing."""
    cdef uint8_t differs = 0
    cdef int index
    for index in range(TAG_BYTES):
        differs |= one[index] ^ other[index]
    return differs == 0


cdef Text text_of(bytes text):
    if text is None:
        return Text(NULL, 0)
    return Text(<const uint8_t*><const char*>text, len(text))
