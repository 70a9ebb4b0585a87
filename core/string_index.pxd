# Text to code without Python: open addressing over UTF-8 bytes, at most half full.

from libc.stdint cimport int32_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

cdef enum:
    NOT_FOUND = -2

ctypedef struct StringSlot:
    uint64_t hash
    const char* text
    uint32_t length
    int32_t code

ctypedef struct StringIndexView:
    const StringSlot* slots
    uint64_t mask


cdef class StringIndex:
    cdef StringIndexView view
    cdef StringSlot* _slots
    cdef list _texts
    cdef _insert(self, bytes text, int32_t code)


cdef inline uint64_t string_hash(const char* text, Py_ssize_t length) noexcept nogil:
    """Multiply and fold, eight bytes at a time."""
    cdef uint64_t state = <uint64_t>length * 0x9E3779B97F4A7C15u
    cdef uint64_t word
    while length >= 8:
        memcpy(&word, text, 8)
        state = (state ^ word) * 0xD6E8FEB86659FD93u
        state ^= state >> 32
        text += 8
        length -= 8
    word = 0
    if length >= 4:
        memcpy(&word, text, 4)
        word <<= 24
        text += 4
        length -= 4
    while length > 0:
        length -= 1
        word = (word << 8) | <unsigned char>text[length]
    state = (state ^ word) * 0xD6E8FEB86659FD93u
    return state ^ (state >> 32)


cdef inline int32_t string_code(
    const StringIndexView* table, const char* text, Py_ssize_t length
) noexcept nogil:
    """Return the code of a text, or NOT_FOUND."""
    cdef uint64_t wanted = string_hash(text, length)
    cdef uint64_t index = wanted & table.mask
    cdef const StringSlot* slot
    while True:
        slot = &table.slots[index]
        if slot.text == NULL:
            return NOT_FOUND
        if slot.hash == wanted and slot.length == <uint64_t>length:
            if memcmp(slot.text, text, length) == 0:
                return slot.code
        index = (index + 1) & table.mask
