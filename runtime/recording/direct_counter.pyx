"""Counts what a native frontend answers, without the GIL; a `WindowSeries` collects it."""

from libc.math cimport isnan
from libc.stdint cimport int64_t, uint32_t
from libc.stdio cimport snprintf
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from gnomon.core.window.window cimport (
    ANSWERED, window_observe, window_update_output_row, window_update_row,
)

from gnomon.runtime import clock

__all__ = ["DirectCounter"]

cdef enum:
    IDENTITY_LIMIT = 600

cdef uint32_t[256] CHECKS


cdef void _prepare() noexcept:
    """Fill the table of zlib's CRC-32, by which `WindowSeries` samples too."""
    cdef uint32_t number, value
    cdef int _bit
    for number in range(256):
        value = number
        for _bit in range(8):
            value = (value >> 1) ^ (0xEDB88320u if value & 1 else 0)
        CHECKS[number] = value


_prepare()


cdef class DirectCounter:
    def __cinit__(self, make_window, int64_t length, int permille):
        self._make_window = make_window
        self.window = make_window()
        self._length = length
        self._permille = permille
        self._closed = []

    def __dealloc__(self):
        cdef SampleBlock* block = self._first
        while block != NULL:
            self._first = block.next
            free_block(block)
            block = self._first

    def arm(self, double moment):
        number = clock.interval(moment, self._length)
        with self.guard:
            if self._starts <= moment < self._ends:
                return
            self._close_window()
            self._starts, self._ends = number * self._length, (number + 1) * self._length

    cdef _close_window(self):
        if self._since_ns:
            self._closed.append((int(self._starts), self.window.take()))
            self._since_ns = 0

    def take_windows(self):
        with self.guard:
            self._close_window()
            closed, self._closed = self._closed, []
        return closed

    def peek_windows(self):
        with self.guard:
            windows = [window for _, window in self._closed]
            if self._since_ns:
                windows.append(self.window.copy())
        return windows

    @property
    def since(self):
        with self.guard:
            if self._closed:
                return 0.0
            since = self._since_ns
        return since / 1e9 if since else None

    def take_samples(self, *, bint partial):
        cdef SampleBlock* block
        cdef SampleBlock* following
        with self.guard:
            block = self._first
            dropped, self._dropped = self._dropped, 0
            following = NULL if partial else self._last
            if block == following:
                block = NULL
            else:
                self._first = following
                if partial:
                    self._last = NULL
                    self._blocks = 0
                else:
                    self._blocks = 1
        samples = []
        while block != following and block != NULL:
            samples.append(read_block(block))
            next_block = <size_t>block.next
            free_block(block)
            block = <SampleBlock*><size_t>next_block
        return samples, dropped

    cdef bint is_open(self, double moment) noexcept nogil:
        return self._starts <= moment < self._ends

    cdef bint count(self, const Answered* answered) noexcept nogil:
        cdef Py_ssize_t row
        cdef double value
        cdef bint is_open
        with self.guard:
            is_open = self._starts <= answered.moment < self._ends
            if is_open:
                if self._since_ns == 0:
                    self._since_ns = monotonic_ns()
                for row in range(answered.rows):
                    window_update_row(
                        self.window,
                        answered.inputs + row * answered.input_fields,
                        answered.input_status + row * answered.input_fields,
                    )
                    window_update_output_row(
                        self.window,
                        answered.outputs + row * answered.output_fields,
                        answered.output_status + row * answered.output_fields,
                    )
                    value = answered.outputs[row * answered.output_fields]
                    if self._permille > 0 and not isnan(value):
                        self._sample(answered, row)
                window_observe(self.window, ANSWERED, answered.latency_ns, answered.rows)
        return is_open

    cdef void _sample(self, const Answered* answered, Py_ssize_t row) noexcept nogil:
        """Keep one prediction, if it is of the sample; its identity as `row_ids` makes it."""
        cdef char[IDENTITY_LIMIT + 24] text
        cdef Py_ssize_t size = answered.identity_size
        cdef SampleBlock* block
        if size > IDENTITY_LIMIT:
            self._dropped += 1
            return
        memcpy(text, answered.identity, size)
        if answered.rows > 1:
            size += snprintf(text + size, 24, b"/%zd", row)
        if self._permille < 1000 and check_of(text, size) % 1000 >= <uint32_t>self._permille:
            return
        block = self._block(size)
        if block == NULL:
            self._dropped += 1
            return
        memcpy(block.text + block.size, text, size)
        block.size += size
        block.ends[block.count] = block.size
        block.moments[block.count] = answered.moment
        block.values[block.count] = answered.outputs[row * answered.output_fields]
        block.count += 1

    cdef SampleBlock* _block(self, Py_ssize_t size) noexcept nogil:
        """Return the block that is not full, with room for an identity; NULL: drop the row."""
        cdef SampleBlock* block = self._last
        cdef char* text
        if block == NULL or block.count == BLOCK_ROWS:
            if self._blocks >= BLOCKS_LIMIT:
                return NULL
            block = <SampleBlock*>calloc(1, sizeof(SampleBlock))
            if block == NULL:
                return NULL
            if self._last == NULL:
                self._first = block
            else:
                self._last.next = block
            self._last = block
            self._blocks += 1
        if block.room - block.size < size:
            text = <char*>realloc(block.text, 2 * block.room + size + 4096)
            if text == NULL:
                return NULL
            block.text = text
            block.room = 2 * block.room + size + 4096
        return block


cdef void free_block(SampleBlock* block) noexcept nogil:
    free(block.text)
    free(block)


cdef read_block(const SampleBlock* block):
    cdef int row
    cdef Py_ssize_t start = 0
    identities, moments, values = [], [], []
    for row in range(block.count):
        identities.append(block.text[start:block.ends[row]].decode())
        moments.append(block.moments[row])
        values.append(block.values[row])
        start = block.ends[row]
    return identities, moments, values


cdef uint32_t check_of(const char* text, Py_ssize_t size) noexcept nogil:
    cdef uint32_t value = 0xFFFFFFFFu
    cdef Py_ssize_t index
    for index in range(size):
        value = CHECKS[(value ^ <unsigned char>text[index]) & 0xFF] ^ (value >> 8)
    return value ^ 0xFFFFFFFFu


cdef int64_t monotonic_ns() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <int64_t>now.tv_sec * 1000000000 + now.tv_nsec
