"""The table in which a loop finds the lane of a request."""

from cpython.mem cimport PyMem_Calloc, PyMem_Free
from cpython.ref cimport PyObject
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.stdio cimport snprintf
from libc.stdlib cimport free
from posix.time cimport CLOCK_REALTIME, clock_gettime, timespec

from gnomon.core.text_table cimport TextTable, text_code
from gnomon.server.serving.native.lane cimport (
    NO_LANE, NOT_USUAL, TAKEN, TIMED_OF, Declined, Lane, Passage, ServeLane, monotonic_ns,
    request_read, serve_lane,
)

import secrets

__all__ = ["Table"]

# Lanes lie in C arrays; this is how they are called from there without the GIL.
cdef ServeLane SERVE = <ServeLane><void*>serve_lane


cdef class Table:
    def __cinit__(self, double slow_seconds):
        self.slow_ns = slow_seconds * 1e9
        self._prefix = secrets.token_hex(6).encode()
        self.prefix = self._prefix
        self.asked = <request*>PyMem_Calloc(1, sizeof(request))
        if self.asked == NULL:
            raise MemoryError
        self.publish({})

    def __dealloc__(self):
        PyMem_Free(self.asked)

    def publish(self, lanes):
        cdef TextTable names = TextTable(tuple(lanes))
        cdef tuple listed = tuple(lanes.values())
        cdef bytearray memory = bytearray(len(listed) * sizeof(void*) + sizeof(void*))
        cdef PyObject** pointers = <PyObject**><char*>memory
        cdef TextTableView view = names.view
        cdef Py_ssize_t index
        cdef Lane lane
        for index in range(len(listed)):
            lane = listed[index]
            pointers[index] = <PyObject*>lane
        with nogil, self.guard:
            self.lanes = pointers
            self.names = view
        # No call is on the old lanes any more.
        self._kept = (names, listed, memory)

    @property
    def reasons(self):
        names = ("taken", "not usual", "no lane", "no window", "not for the lane", "broken rule",
                 "engine failed", "too slow")
        return {name: self.counts[index] for index, name in enumerate(names)}

    @property
    def stages(self):
        names = ("read", "check inputs", "run", "check outputs", "write", "count")
        timed = max(<int64_t>self.clock.timed, 1)
        return {name: self.clock.stage_ns[index] / timed for index, name in enumerate(names)}

    def try_message(self, const uint8_t[::1] message):
        """Return what a message is answered with, None if it is declined; for tests."""
        cdef buffer out = buffer(NULL, 0, 0)
        cdef exchange exchange
        cdef verdict given
        exchange.message.data = &message[0] if message.shape[0] else NULL
        exchange.message.size = message.shape[0]
        exchange.authorization.size = exchange.certificate.size = 0
        exchange.out, exchange.position = &out, POSITION_NONE
        with nogil:
            given = table_answer(self, &exchange)
        answer = out.data[5:out.size] if given == VERDICT_ANSWERED else None
        free(out.data)
        return answer

    cdef verdict answer(self, exchange* exchange) noexcept nogil:
        cdef char[64] made
        cdef Passage passage
        cdef int32_t code
        cdef Declined declined = NOT_USUAL
        passage.started, passage.moment = monotonic_ns(), epoch_seconds()
        passage.asked, passage.slow_ns = self.asked, self.slow_ns
        passage.clock, passage.out = &self.clock, exchange.out
        with self.guard:
            self.clock.seen += 1
            self.clock.is_timed = self.clock.seen % TIMED_OF == 0
            self.clock.last_ns = passage.started
            if request_read(exchange.message.data, exchange.message.size, self.asked) == 0:
                code = text_code(
                    &self.names, <const char*>self.asked.model.data, self.asked.model.size
                )
                if code < 0:
                    declined = NO_LANE
                else:
                    passage.identity = self.identity(made, sizeof(made))
                    declined = SERVE(self.lanes[code], &passage)
            self.counts[<int>declined] += 1
        return VERDICT_ANSWERED if declined == TAKEN else VERDICT_DECLINED

    cdef slice identity(self, char* room, size_t size) noexcept nogil:
        """Return the request's own identity, or one that is made in the room."""
        if self.asked.id.size:
            return self.asked.id
        self.counter += 1
        return slice(<const uint8_t*>room, snprintf(
            room, size, b"%s-%llx", self.prefix, <unsigned long long>self.counter
        ))


cdef verdict table_answer(Table table, exchange* exchange) noexcept nogil:
    return table.answer(exchange)


cdef double epoch_seconds() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_REALTIME, &now)
    return <double>now.tv_sec + <double>now.tv_nsec * 1e-9
