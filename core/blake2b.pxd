# BLAKE2b of one message in pieces, for other extensions without the GIL; see blake2b_stream.h.

from libc.stdint cimport uint8_t

cdef extern from "blake2b_stream.h":
    struct blake2b:
        pass

cdef void blake2b_begin(
    blake2b* hash, size_t size, const void* key, size_t key_size
) noexcept nogil
cdef void blake2b_add(blake2b* hash, const void* data, size_t size) noexcept nogil
cdef void blake2b_end(blake2b* hash, uint8_t* digest) noexcept nogil
