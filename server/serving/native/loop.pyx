"""The loop that serves gRPC, as Python's threads see it."""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t, uint64_t

from gnomon.server.serving.native.lane cimport buffer
from gnomon.server.serving.native.table cimport Table, answer_function, table_answer


__all__ = ["Call", "Loop", "missing_library"]

cdef extern from "transport.h":
    struct limits:
        size_t message_bytes
        size_t header_bytes
        size_t connection_bytes
        size_t total_bytes
        unsigned int concurrent_streams
        int connections
        int waiting_calls
        double header_seconds
        double idle_seconds

    struct counts:
        uint64_t answered
        uint64_t declined
        uint64_t refused
        uint64_t connections
        uint64_t dropped_connections

    struct call:
        int encoding
        size_t path_size
        char* path
        buffer authorization
        int position
        buffer body
        buffer response

    struct loop:
        counts counts
        int connection_count
        size_t held

    const char* h2_load() nogil
    loop* loop_new(int, const limits*, answer_function, void*) nogil
    void loop_free(loop*) nogil
    void loop_run(loop*) nogil
    void loop_drain(loop*, uint64_t) nogil
    call* queue_take(loop*) nogil
    void queue_give_back(loop*, call*) nogil
    int call_add_trailer(call*, const char*, size_t, const char*, size_t) nogil
    int buffer_reserve(buffer*, size_t) nogil
    int buffer_append(buffer*, const void*, size_t) nogil

ENCODINGS = ("identity", "gzip", "deflate", "other")


def missing_library():
    """Return what keeps the loop from running here, or None."""
    cdef const char* missing = h2_load()
    return None if missing == NULL else missing.decode()


cdef bytes bytes_of(const buffer* held):
    return PyBytes_FromStringAndSize(<const char*>held.data, held.size)


cdef class Call:
    """One request with a Python thread, to be answered once."""

    cdef call* _call
    cdef Loop _loop
    cdef readonly str path
    cdef readonly str encoding
    cdef readonly bytes message
    cdef readonly bytes authorization
    cdef readonly object position

    def answer(self, const uint8_t[::1] message):
        """Answer with a message."""
        cdef size_t size = message.shape[0]
        cdef buffer* out = &self._open().response
        cdef uint8_t[5] head
        head[0] = 0
        head[1], head[2] = <uint8_t>(size >> 24), <uint8_t>(size >> 16)
        head[3], head[4] = <uint8_t>(size >> 8), <uint8_t>size
        out.size = 0
        if buffer_reserve(out, size + 5):
            raise MemoryError
        buffer_append(out, head, 5)
        if size:
            buffer_append(out, &message[0], size)
        self._give_back()

    def refuse(self, trailers):
        """End with trailers: pairs of bytes, gRPC's status among them."""
        cdef bytes name, value
        cdef call* mine = self._open()
        for name, value in trailers:
            if call_add_trailer(mine, name, len(name), value, len(value)):
                raise ValueError(f"{len(trailers)} trailers do not go")
        self._give_back()

    cdef call* _open(self) except NULL:
        if self._call == NULL:
            raise RuntimeError("the call was answered already")
        return self._call

    cdef _give_back(self):
        cdef call* mine = self._call
        self._call = NULL
        queue_give_back(self._loop._loop, mine)

    def __dealloc__(self):
        # A call that no one answered must not hold its stream for ever.
        if self._call != NULL:
            call_add_trailer(self._call, b"grpc-status", 11, b"13", 2)
            queue_give_back(self._loop._loop, self._call)


cdef class Loop:
    cdef loop* _loop
    cdef Table _table

    def __cinit__(self, listener, Table table not None, dict settings not None):
        cdef limits bounds
        bounds.message_bytes = settings["message_bytes"]
        bounds.header_bytes = settings["header_bytes"]
        bounds.connection_bytes = settings["connection_bytes"]
        bounds.total_bytes = settings["total_bytes"]
        bounds.concurrent_streams = settings["concurrent_streams"]
        bounds.connections = settings["connections"]
        bounds.waiting_calls = settings["waiting_calls"]
        bounds.header_seconds = settings["header_seconds"]
        bounds.idle_seconds = settings["idle_seconds"]
        missing = missing_library()
        if missing is not None:
            raise OSError(missing)
        self._table = table
        listener.setblocking(False)
        # From here on the descriptor is the loop's.
        self._loop = loop_new(
            listener.detach(), &bounds, <answer_function><void*>table_answer, <void*>table
        )
        if self._loop == NULL:
            raise MemoryError

    def __dealloc__(self):
        if self._loop != NULL:
            loop_free(self._loop)

    def run(self):
        """Serve until drained."""
        with nogil:
            loop_run(self._loop)

    def drain(self, double grace_seconds):
        """End in two steps: tell clients, then let what is under way end within the grace."""
        loop_drain(self._loop, <uint64_t>(max(grace_seconds, 0.0) * 1e9))

    def take(self):
        """Wait for a call that Python is to answer; None once the loop has ended."""
        cdef call* found
        cdef Call taken
        with nogil:
            found = queue_take(self._loop)
        if found == NULL:
            return None
        taken = Call.__new__(Call)
        taken._loop, taken._call = self, found
        taken.path = found.path[:found.path_size].decode(errors="replace")
        taken.encoding = ENCODINGS[found.encoding if found.body.data[0] else 0]
        taken.message = PyBytes_FromStringAndSize(
            <const char*>found.body.data + 5, found.body.size - 5
        )
        taken.authorization = bytes_of(&found.authorization) if found.authorization.size else None
        taken.position = found.position if found.position >= 0 else None
        return taken

    @property
    def counts(self):
        """Return what has been counted so far, by name."""
        return {
            "answered": self._loop.counts.answered,
            "declined": self._loop.counts.declined,
            "refused": self._loop.counts.refused,
            "connections": self._loop.counts.connections,
            "dropped_connections": self._loop.counts.dropped_connections,
            "open_connections": self._loop.connection_count,
            "held_bytes": self._loop.held,
        }
