"""A fixed table from texts to their positions in a list, readable without the GIL."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.stdint cimport int32_t, uint32_t, uint64_t

__all__ = ["StringIndex"]


cdef class StringIndex:
    def __cinit__(self, texts):
        self._texts = [text.encode() for text in texts]
        cdef uint64_t capacity = 8
        while capacity < 2 * <uint64_t>len(self._texts):
            capacity *= 2
        self._slots = <StringSlot*>PyMem_Calloc(capacity, sizeof(StringSlot))
        if self._slots == NULL:
            raise MemoryError
        self.view.slots = self._slots
        self.view.mask = capacity - 1
        for code, text in enumerate(self._texts):
            self._insert(text, code)

    def __dealloc__(self):
        PyMem_Free(self._slots)

    cdef _insert(self, bytes text, int32_t code):
        cdef const char* characters = PyBytes_AS_STRING(text)
        cdef Py_ssize_t length = PyBytes_GET_SIZE(text)
        cdef uint64_t hash = string_hash(characters, length)
        cdef uint64_t index = hash & self.view.mask
        if string_code(&self.view, characters, length) != NOT_FOUND:
            raise ValueError(f"{text.decode()!r} is in the list twice")
        while self._slots[index].text != NULL:
            index = (index + 1) & self.view.mask
        self._slots[index] = StringSlot(hash, characters, <uint32_t>length, code)

    def code(self, str text not None):
        cdef bytes encoded = text.encode()
        cdef int32_t code = string_code(
            &self.view, PyBytes_AS_STRING(encoded), PyBytes_GET_SIZE(encoded)
        )
        return None if code == NOT_FOUND else code

    def __len__(self):
        return len(self._texts)
