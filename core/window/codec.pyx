"""Integers to bits and back, by Rice codes whose parameter is chosen for each group.

A group is a 6-bit k, then each value as zigzag u = 2·|v| − (v < 0): u >> k in unary (ones, ended
by a zero), and its low k bits. From 24 ones on follow the whole 64 bits instead.
Reference: Rice and Plaunt, "Adaptive variable-length coding" (1971).
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t

import numpy as np

cdef enum:
    ESCAPE = 24


class CorruptWindow(ValueError):  # noqa: N818
    """The bytes are not those of a window, or were damaged or cut short."""


cdef inline uint64_t zigzag(int64_t value) noexcept nogil:
    return (<uint64_t>value << 1) ^ <uint64_t>(value >> 63)


cdef int best_parameter(const int64_t[::1] values) noexcept nogil:
    """Choose the k that takes the fewest bits."""
    cdef int k, most = 0, best = 0
    cdef uint64_t bits, fewest = <uint64_t>-1, quotient, every = 0
    cdef Py_ssize_t index
    for index in range(values.shape[0]):
        every |= zigzag(values[index])
    while most < 63 and every >> most:
        most += 1
    for k in range(most + 1):
        bits = 0
        for index in range(values.shape[0]):
            quotient = zigzag(values[index]) >> k
            bits += k + 1 + quotient if quotient < ESCAPE else ESCAPE + 64
        if bits < fewest:
            fewest = bits
            best = k
    return best


cdef class BitWriter:
    cdef bytearray _bytes
    cdef uint64_t _word
    cdef int _filled

    def __cinit__(self):
        self._bytes = bytearray()

    cdef int put(self, uint64_t value, int bits) except -1:
        """Append the low `bits` bits, the most significant first."""
        if bits > 32:
            self.put(value >> 32, bits - 32)
            bits = 32
        self._word = (self._word << bits) | (value & ((<uint64_t>1 << bits) - 1))
        self._filled += bits
        while self._filled >= 8:
            self._filled -= 8
            self._bytes.append(<uint8_t>(self._word >> self._filled))
        return 0

    def write(self, const int64_t[::1] values):
        cdef int k = best_parameter(values)
        cdef Py_ssize_t index
        cdef uint64_t code, quotient
        if values.shape[0] == 0:
            return
        self.put(k, 6)
        for index in range(values.shape[0]):
            code = zigzag(values[index])
            quotient = code >> k
            if quotient < ESCAPE:
                self.put(((<uint64_t>1 << quotient) - 1) << 1, <int>quotient + 1)
                self.put(code, k)
            else:
                self.put((<uint64_t>1 << ESCAPE) - 1, ESCAPE)
                self.put(code, 64)

    def finish(self):
        if self._filled:
            self.put(0, 8 - self._filled)
        return bytes(self._bytes)


cdef class BitReader:
    cdef const uint8_t[::1] _bytes
    cdef Py_ssize_t _position

    def __cinit__(self, const uint8_t[::1] data):
        self._bytes = data

    cdef int bit(self) except -1:
        cdef Py_ssize_t byte = self._position >> 3
        if byte >= self._bytes.shape[0]:
            raise CorruptWindow("the window's bytes end too soon")
        cdef int result = (self._bytes[byte] >> (7 - (self._position & 7))) & 1
        self._position += 1
        return result

    cdef uint64_t take(self, int bits) except? 0:
        cdef uint64_t value = 0
        cdef int room, part
        if self._position + bits > 8 * self._bytes.shape[0]:
            raise CorruptWindow("the window's bytes end too soon")
        while bits:
            room = 8 - <int>(self._position & 7)
            part = min(room, bits)
            value = (value << part) | (
                (self._bytes[self._position >> 3] >> (room - part)) & ((1 << part) - 1))
            self._position += part
            bits -= part
        return value

    cdef int64_t value(self, int k) except? 0:
        cdef uint64_t code
        cdef int ones = 0
        while ones < ESCAPE and self.bit():
            ones += 1
        if ones == ESCAPE:
            code = self.take(64)
        else:
            code = (<uint64_t>ones << k) | self.take(k)
        return <int64_t>(code >> 1) ^ -<int64_t>(code & 1)

    def read(self, Py_ssize_t count):
        result = np.empty(count, dtype=np.int64)
        cdef int64_t[::1] view = result
        cdef Py_ssize_t index
        cdef int k
        if count == 0:
            return result
        k = <int>self.take(6)
        for index in range(count):
            view[index] = self.value(k)
        return result

    def read_each(self, Py_ssize_t count):
        """Read numbers that were written one by one."""
        result = np.empty(count, dtype=np.int64)
        cdef int64_t[::1] view = result
        cdef Py_ssize_t index
        for index in range(count):
            view[index] = self.value(<int>self.take(6))
        return result

    def finish(self):
        """Refuse what is left over, but for the zero bits that fill the last byte."""
        while self._position & 7:
            if self.bit():
                raise CorruptWindow("the window's last byte is damaged")
        if self._position >> 3 != self._bytes.shape[0]:
            raise CorruptWindow("the window's bytes go on after its end")
