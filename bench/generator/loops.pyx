"""The loops of the load generator and of the honest server."""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from gnomon.bench.generator.loops cimport (
    H2_NO_COPY, HISTOGRAM_CELLS, HONEST_BODY_LIMIT, LOAD_HEADERS, LOAD_OUTCOMES, LOAD_STATUSES,
    h2_table_load, histogram_cell, honest, honest_answer, honest_elapsed, honest_free,
    honest_law, honest_new, honest_run, honest_stop, honest_working, load, load_free, load_new,
    load_record, load_row, load_run, load_settings, load_slot, load_stop, slice, sockaddr_storage,
)

__all__ = [
    "CELLS", "OUTCOMES", "STATUSES", "HonestLoop", "LoadLoop", "cell_of", "missing_library",
    "working_elapsed",
]

CELLS = HISTOGRAM_CELLS
OUTCOMES = LOAD_OUTCOMES
STATUSES = LOAD_STATUSES


def missing_library():
    """Return what keeps the loops from running here, or None."""
    cdef const char* missing = h2_table_load()
    return None if missing == NULL else missing.decode()


def cell_of(uint64_t nanoseconds):
    """Return the cell of the histogram that counts a value."""
    return histogram_cell(nanoseconds)


cdef slice view(bytes data):
    cdef slice result
    result.data = data
    result.size = len(data)
    return result


cdef bytes copy_of(const void* data, size_t size):
    return PyBytes_FromStringAndSize(<const char*>data, size)


cdef honest_law law_of(dict given):
    cdef honest_law law
    law.kind = given["kind"]
    law.scale = given["scale"]
    law.sigma = given["sigma"]
    law.period = given["period"]
    law.stall = given["stall"]
    law.workers = given["workers"]
    law.random = given["seed"] | 1
    return law


def working_elapsed(dict given, uint64_t nanoseconds):
    """Return the working time by then, and when so much work is done."""
    cdef honest_law law = law_of(given)
    return honest_working(&law, nanoseconds), honest_elapsed(&law, nanoseconds)


cdef class HonestLoop:
    cdef honest* _server
    cdef honest_answer* _answers
    cdef list _kept

    def __cinit__(self, listener, dict law not None, answers):
        missing = missing_library()
        if missing is not None:
            raise OSError(missing)
        self._kept = [(path, body, is_grpc, delayed) for path, body, is_grpc, delayed in answers]
        self._answers = <honest_answer*>calloc(len(self._kept), sizeof(honest_answer))
        if self._answers == NULL:
            raise MemoryError
        for index, (path, body, is_grpc, delayed) in enumerate(self._kept):
            if len(body) > HONEST_BODY_LIMIT:
                raise ValueError(f"an answer of {len(body)} bytes is too long")
            self._answers[index].path = view(path)
            self._answers[index].body = view(body)
            self._answers[index].is_grpc = is_grpc
            self._answers[index].is_delayed = delayed
        cdef honest_law bounds = law_of(law)
        listener.setblocking(False)
        self._server = honest_new(listener.detach(), &bounds, self._answers, len(self._kept))
        if self._server == NULL:
            raise MemoryError

    def __dealloc__(self):
        if self._server != NULL:
            honest_free(self._server)
        free(self._answers)

    def run(self):
        with nogil:
            honest_run(self._server)

    def stop(self):
        honest_stop(self._server)

    @property
    def answered(self):
        return self._server.answered

    @property
    def lateness(self):
        return copy_of(self._server.lateness, HISTOGRAM_CELLS * sizeof(uint64_t))


cdef class LoadLoop:
    cdef load* _load
    cdef list _kept
    cdef const uint64_t[::1] _dues
    cdef size_t _slot_count

    def __cinit__(self, dict settings not None, headers, rows, dues=None):
        cdef load_settings given
        cdef load_row* held
        cdef bytes address = settings["address"]
        missing = missing_library()
        if missing is not None:
            raise OSError(missing)
        cdef Py_ssize_t longest = sizeof(sockaddr_storage)
        if len(address) > longest or len(headers) > LOAD_HEADERS or not rows:
            raise ValueError("the address is too long, the headers are too many, or no rows")
        memset(&given, 0, sizeof(given))
        memcpy(&given.address, <const char*>address, len(address))
        given.address_size = len(address)
        given.protocol = settings["protocol"]
        given.connections, given.streams = settings["connections"], settings["streams"]
        given.warm_up, given.measured = settings["warm_up"], settings["measured"]
        given.timeout, given.patience = settings["timeout"], settings["patience"]
        given.spin, given.slot = settings["spin"], settings["slot"]
        given.slot_count = self._slot_count = settings["slot_count"]
        given.log_room = settings["log_room"]
        self._kept = [list(headers), list(rows)]
        given.header_count = len(headers)
        for index, (name, value) in enumerate(self._kept[0]):
            given.headers[index].name = name
            given.headers[index].value = value
            given.headers[index].name_size = len(name)
            given.headers[index].value_size = len(value)
            given.headers[index].flags = H2_NO_COPY
        if dues is not None:
            self._dues = dues
            given.due_count = self._dues.shape[0]
            given.dues = &self._dues[0]
        held = <load_row*>calloc(len(rows), sizeof(load_row))
        if held == NULL:
            raise MemoryError
        try:
            for index, (request, expected) in enumerate(self._kept[1]):
                held[index].request = view(request)
                if expected is not None:
                    held[index].expected = view(expected)
            self._load = load_new(&given, held, len(rows))
        finally:
            free(held)
        if self._load == NULL:
            raise MemoryError

    def __dealloc__(self):
        if self._load != NULL:
            load_free(self._load)

    def run(self):
        with nogil:
            load_run(self._load)

    def stop(self):
        load_stop(self._load)

    @property
    def counts(self):
        return {
            "ended_early": bool(self._load.ended_early),
            "error": self._load.error,
            "reconnects": self._load.reconnects,
            "waited": self._load.waited,
            "finished_ns": self._load.finished,
            "cpu_ns": self._load.cpu,
        }

    @property
    def outcomes(self):
        return [self._load.outcomes[index] for index in range(LOAD_OUTCOMES)]

    @property
    def statuses(self):
        return {
            index: self._load.statuses[index]
            for index in range(LOAD_STATUSES)
            if self._load.statuses[index]
        }

    def histogram(self, name):
        cdef const uint64_t* found
        if name == "latency":
            found = self._load.latency
        elif name == "service":
            found = self._load.service
        elif name == "lateness":
            found = self._load.lateness
        else:
            raise ValueError(f"there is no histogram {name!r}")
        return copy_of(found, HISTOGRAM_CELLS * sizeof(uint64_t))

    @property
    def slots(self):
        return copy_of(self._load.slots, self._slot_count * sizeof(load_slot))

    @property
    def log(self):
        return copy_of(self._load.log, self._load.log_size * sizeof(load_record))

    @property
    def kept(self):
        return [
            (self._load.kept[index].row,
             copy_of(self._load.kept[index].body.data, self._load.kept[index].body.size))
            for index in range(self._load.kept_size)
        ]
