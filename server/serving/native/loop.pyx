"""The loop that serves gRPC, as Python's threads see it."""

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t, uint64_t

from gnomon.server.serving.native.buffer cimport buffer, buffer_append, buffer_reserve
from gnomon.server.serving.native.event_loop cimport (
    SENT, SENT_NO_MEMORY, SENT_TOO_MUCH, TRAILERS_LIMIT, call, call_add_trailer, h2_load, limits,
    loop, loop_drain, loop_free, loop_join, loop_new, loop_run, loop_use_tls,
    monotonic_nanoseconds, queue as call_queue, queue_destroy, queue_give_back, queue_init,
    queue_join, queue_leave, queue_take, sent, servicer_claim, servicer_give_turn, servicer_is_over,
    servicer_leave, servicer_send, tls_context, tls_context_free, tls_context_new,
    tls_context_share, tls_load,
)
from gnomon.server.serving.native.exchange cimport answer_function
from gnomon.server.serving.native.route_table cimport NativeRouteTable, table_answer

import os

__all__ = ["Call", "EventLoop", "Queue", "Tls", "missing_library", "missing_tls"]

ENCODINGS = ("identity", "gzip", "deflate", "other")


def missing_library():
    """Return what keeps the loop from running here, or None."""
    cdef const char* missing = h2_load()
    return None if missing == NULL else missing.decode()


def missing_tls():
    """Return what keeps a loop from TLS here, or None."""
    cdef const char* missing = tls_load()
    return None if missing == NULL else missing.decode()


cdef bytes list_paths(paths):
    """Return the paths one behind the other, as the loop reads them."""
    return b"".join(path.encode() + b"\0" for path in paths) + b"\0"


cdef bytes bytes_of(const buffer* held):
    """Return what is held; None if it is empty."""
    if held.size == 0:
        return None
    return PyBytes_FromStringAndSize(<const char*>held.data, held.size)


# Calls and their loop know each other: neither may lose the other before it is done.
@cython.no_gc_clear
cdef class Call:
    """One request with a Python thread, to be answered once; or a streaming call's turn."""

    cdef call* _call
    cdef EventLoop _loop
    cdef readonly str path
    cdef readonly str encoding
    cdef readonly bytes message
    cdef readonly bytes authorization
    cdef readonly bytes certificate_name
    cdef readonly object position
    cdef readonly bint is_streaming
    cdef public object state
    cdef uint64_t _queued
    cdef object __weakref__

    @property
    def is_over(self):
        """Whether it was answered, or its client has left."""
        return self._call == NULL

    @property
    def waited_ns(self):
        """How long ago it was put into the queue."""
        return monotonic_nanoseconds() - self._queued

    def answer(self, const uint8_t[::1] message):
        """Answer with a message."""
        cdef size_t size = message.shape[0]
        cdef buffer* out = &self._unary().response
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
        cdef call* mine = self._open()
        if len(trailers) > TRAILERS_LIMIT:
            raise ValueError(f"{len(trailers)} trailers do not go")
        if not self.is_streaming:
            self._add(trailers)
            self._give_back()
        elif servicer_claim(mine):
            try:
                self._add(trailers)
            finally:
                self._leave(1)
        else:
            self._leave(0)

    def send(self, const uint8_t[::1] message):
        """Send a message of a streaming call; say whether anyone is there to take it."""
        cdef const uint8_t* first = &message[0] if message.shape[0] else NULL
        cdef sent result = servicer_send(self._streaming(), first, message.shape[0])
        if result == SENT_TOO_MUCH:
            raise BufferError("the client does not read what was sent before")
        if result == SENT_NO_MEMORY:
            raise MemoryError
        return result == SENT

    def give_turn(self):
        """Let the streaming call come again with the client's next message."""
        servicer_give_turn(self._streaming())

    def finish(self):
        """End a streaming call well."""
        self._streaming()
        self.refuse([(b"grpc-status", b"0")])

    cdef _add(self, trailers):
        cdef bytes name, value
        for name, value in trailers:
            if call_add_trailer(self._call, name, len(name), value, len(value)):
                raise MemoryError

    cdef call* _open(self) except NULL:
        if self._call == NULL:
            raise RuntimeError("the call was answered already")
        return self._call

    cdef call* _unary(self) except NULL:
        if self.is_streaming:
            raise RuntimeError("a streaming call is answered with `send`")
        return self._open()

    cdef call* _streaming(self) except NULL:
        if not self.is_streaming:
            raise RuntimeError("the call has one answer; give it with `answer`")
        return self._open()

    cdef _give_back(self):
        cdef call* mine = self._call
        self._call = NULL
        queue_give_back(mine)

    cdef _leave(self, int is_finished):
        cdef call* mine = self._call
        self._call = NULL
        self._loop._streaming.pop(<size_t>mine, None)
        servicer_leave(mine, is_finished)

    def __dealloc__(self):
        cdef int is_mine
        # A call that no one answered must not hold its stream for ever.
        if self._call == NULL:
            return
        if self.is_streaming:
            is_mine = servicer_claim(self._call)
            if is_mine:
                call_add_trailer(self._call, b"grpc-status", 11, b"13", 2)
            servicer_leave(self._call, is_mine)
        else:
            call_add_trailer(self._call, b"grpc-status", 11, b"13", 2)
            queue_give_back(self._call)


cdef class Queue:
    """Calls of all loops that wait for Python's threads; at most `waiting_calls`."""

    cdef call_queue _queue

    def __cinit__(self, int waiting_calls):
        if queue_init(&self._queue, waiting_calls):
            raise MemoryError

    def __dealloc__(self):
        queue_destroy(&self._queue)

    def take(self):
        """Wait for a call that Python is to answer; None once all loops have ended."""
        cdef call* found
        cdef EventLoop owner
        while True:
            with nogil:
                found = queue_take(&self._queue)
            if found == NULL:
                return None
            owner = <EventLoop>found.loop.face
            taken = owner.show(found)
            if taken is not None:
                return taken


cdef class Tls:
    """Certificate, key and clients' authority, as they are in the files now."""

    cdef tls_context* _context

    def __cinit__(self, ciphers, certificate_file, key_file, client_authority_file=None):
        cdef char[256] fault
        cdef bytes suites = ciphers.encode()
        cdef bytes certificate = os.fsencode(certificate_file)
        cdef bytes key = os.fsencode(key_file)
        cdef bytes authority = os.fsencode(client_authority_file or "")
        missing = missing_tls()
        if missing is not None:
            raise OSError(missing)
        self._context = tls_context_new(
            suites, certificate, key, <char*>authority if authority else NULL, fault, sizeof(fault)
        )
        if self._context == NULL:
            raise ValueError(fault.decode(errors="replace"))

    def __dealloc__(self):
        if self._context != NULL:
            tls_context_free(self._context)


@cython.no_gc_clear
cdef class EventLoop:
    cdef loop* _loop
    cdef NativeRouteTable _table
    cdef Queue _queue
    cdef bytes _paths
    cdef bytes _unary
    # Streaming calls by their address, until they end.
    cdef dict _streaming
    cdef bint _has_run

    def __cinit__(self, listener, NativeRouteTable table not None, Queue queue not None,
                  dict settings not None, streaming=(), unary=None):
        cdef limits bounds
        bounds.message_bytes = settings["message_bytes"]
        bounds.header_bytes = settings["header_bytes"]
        bounds.connection_bytes = settings["connection_bytes"]
        bounds.total_bytes = settings["total_bytes"]
        bounds.concurrent_streams = settings["concurrent_streams"]
        bounds.connections = settings["connections"]
        bounds.header_seconds = settings["header_seconds"]
        bounds.idle_seconds = settings["idle_seconds"]
        bounds.keepalive_seconds = settings["keepalive_seconds"]
        bounds.connection_age_seconds = settings["connection_age_seconds"]
        missing = missing_library()
        if missing is not None:
            raise OSError(missing)
        self._table, self._queue, self._streaming = table, queue, {}
        self._paths = list_paths(streaming)
        self._unary = None if unary is None else list_paths(unary)
        cdef int descriptor = -1
        if listener is not None:
            listener.setblocking(False)
            # From here on the descriptor is the loop's.
            descriptor = listener.detach()
        self._loop = loop_new(
            descriptor, &bounds, &queue._queue, self._paths,
            <answer_function><void*>table_answer, <void*>table
        )
        if self._loop == NULL:
            raise MemoryError
        self._loop.face = <void*>self
        if self._unary is not None:
            self._loop.unary = self._unary
        queue_join(&queue._queue)

    def __dealloc__(self):
        if self._loop == NULL:
            return
        if not self._has_run:
            queue_leave(&self._queue._queue)
        loop_free(self._loop)

    def join(self, EventLoop other not None):
        """Take a share of the other's connections; before either runs."""
        loop_join(self._loop, other._loop)

    def use_tls(self, Tls context not None):
        """Serve connections to come with TLS; those that are open stay as they are."""
        tls_context_share(context._context)
        loop_use_tls(self._loop, context._context)

    @property
    def tls_fault(self):
        """Return why a handshake failed last; empty if none did."""
        cdef const char* fault = self._loop.tls_fault
        return "" if fault == NULL else fault.decode(errors="replace")

    def run(self):
        """Serve until drained."""
        self._has_run = True
        with nogil:
            loop_run(self._loop)

    def drain(self, double grace_seconds):
        """End in two steps: tell clients, then let what is under way end within the grace."""
        loop_drain(self._loop, <uint64_t>(max(grace_seconds, 0.0) * 1e9))

    cdef Call show(self, call* found):
        """Return the object for a call with its message; None if its client has left."""
        cdef Call taken = None
        if found.streaming != NULL:
            taken = self._streaming.get(<size_t>found)
            if servicer_is_over(found):
                if taken is None:
                    servicer_leave(found, 0)
                else:
                    taken._leave(0)
                return None
        if taken is None:
            taken = Call.__new__(Call)
            taken._loop, taken._call = self, found
            taken.path = found.path[:found.path_size].decode(errors="replace")
            taken.is_streaming = found.streaming != NULL
            if taken.is_streaming:
                self._streaming[<size_t>found] = taken
            taken.authorization = bytes_of(&found.authorization)
            taken.certificate_name = bytes_of(&found.certificate)
            taken.position = found.position if found.position >= 0 else None
        taken._queued = found.queued
        if found.body.size == 0:
            taken.message = None
            return taken
        taken.encoding = ENCODINGS[found.encoding if found.body.data[0] else 0]
        taken.message = PyBytes_FromStringAndSize(
            <const char*>found.body.data + 5, found.body.size - 5
        )
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
            "failed_handshakes": self._loop.counts.failed_handshakes,
            "open_connections": self._loop.connection_count,
            "held_bytes": self._loop.held,
        }
