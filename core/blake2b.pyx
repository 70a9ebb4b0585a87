"""BLAKE2b for other extensions, compiled once; Python has `hashlib`'s."""

from libc.stdint cimport uint8_t

__all__ = []

cdef extern from "blake2b_stream.h":
    void c_begin "gnomon_blake2b_begin"(blake2b*, size_t, const void*, size_t) nogil
    void c_add "gnomon_blake2b_add"(blake2b*, const void*, size_t) nogil
    void c_end "gnomon_blake2b_end"(blake2b*, uint8_t*) nogil


cdef void blake2b_begin(
    blake2b* hash, size_t size, const void* key, size_t key_size
) noexcept nogil:
    c_begin(hash, size, key, key_size)


cdef void blake2b_add(blake2b* hash, const void* data, size_t size) noexcept nogil:
    c_add(hash, data, size)


cdef void blake2b_end(blake2b* hash, uint8_t* digest) noexcept nogil:
    c_end(hash, digest)
