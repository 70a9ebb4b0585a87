"""The table in which a loop finds what answers a request, after admission: who calls, how much."""

from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.stdio cimport snprintf
from libc.stdlib cimport free
from posix.time cimport CLOCK_REALTIME, clock_gettime, timespec

from gnomon.core.string_index cimport StringIndex, string_code
from gnomon.server.serving.admission.rate_limiter cimport (
    REACHED_CONCURRENT, REACHED_NONE, REACHED_RATE, Reached,
)
from gnomon.server.serving.admission.client_counts cimport (
    CLIENT_ANSWERED, CLIENT_TURNED_AWAY, count_client,
)
from gnomon.server.serving.native.buffer cimport buffer, slice
from gnomon.server.serving.native.exchange cimport (
    POSITION_NONE, VERDICT_ANSWERED, VERDICT_DECLINED, VERDICT_REFUSED,
)
from gnomon.server.serving.native.stages cimport TIMED_OF, monotonic_ns
from gnomon.server.serving.native.target cimport (
    NO_CREDENTIAL, NO_TARGET, NOT_FOR_TARGET, NOT_USUAL, REFUSED, TAKEN, ServeTarget, read_request,
    serve_target,
)
from gnomon.server.serving.admission.credential_cache cimport SHOWN_CREDENTIAL, Text
from gnomon.server.serving.native.message cimport request
from gnomon.server.serving.native.refusal cimport refusal_write
from gnomon.server.serving.native.route cimport (
    WEIGHT_TOTAL, NativeRoute, position_of, target_at, target_of,
)

import secrets

__all__ = ["NativeRouteTable"]

# Targets lie in C arrays; this is how they are called from there without the GIL.
cdef ServeTarget SERVE = <ServeTarget><void*>serve_target
# One refusal in so many seconds goes to Python, which writes it to the log; more are only counted.
cdef double REPORT_SECONDS = 0.05


cdef class NativeRouteTable:
    def __cinit__(self, double slow_seconds, admission=None, NativeShadowQueue shadows=None):
        self.slow_ns = slow_seconds * 1e9
        self._prefix = secrets.token_hex(6).encode()
        self.prefix = self._prefix
        self.chance = <uint64_t>secrets.randbits(64)
        self.shadows = NativeShadowQueue() if shadows is None else shadows
        if admission is not None:
            self.credentials, self.limiter = admission.credentials, admission.limiter
            self._asks_who, self._has_limits = admission.asks_who, True
            self._anyone.caller = <uint64_t><Py_hash_t>hash(admission.anyone)
            self._anyone.client = admission.anyone_client
        self.message = <request*>PyMem_Calloc(1, sizeof(request))
        if self.message == NULL:
            raise MemoryError
        self.publish({})

    def __dealloc__(self):
        PyMem_Free(self.message)

    def publish(self, routes):
        cdef StringIndex names = StringIndex(tuple(routes))
        cdef tuple listed = tuple(routes.values())
        cdef bytearray memory = bytearray(len(listed) * sizeof(void*) + sizeof(void*))
        cdef const RoutePlan** pointers = <const RoutePlan**><char*>memory
        cdef StringIndexView view = names.view
        cdef Py_ssize_t index
        cdef NativeRoute route
        for index in range(len(listed)):
            route = listed[index]
            pointers[index] = &route.plan
        with nogil, self.guard:
            self.routes = pointers
            self.names = view
        # No call is on the old targets any more.
        self._kept = (names, listed, memory)

    @property
    def reasons(self):
        names = (
            "taken", "not usual", "no target", "no window", "not for the target", "broken rule",
            "engine failed", "too slow", "no credential", "refused",
        )
        return {name: self.counts[index] for index, name in enumerate(names)}

    @property
    def stages(self):
        names = ("read", "check inputs", "run", "check outputs", "write", "count")
        timed = max(<int64_t>self.clock.timed, 1)
        return {name: self.clock.stage_ns[index] / timed for index, name in enumerate(names)}

    def try_message(self, message):
        return self.try_exchange(message)[0]

    def try_exchange(self, const uint8_t[::1] message, bytes authorization=b""):
        cdef buffer out = buffer(NULL, 0, 0)
        cdef exchange exchange
        cdef verdict given
        exchange.message.data = &message[0] if message.shape[0] else NULL
        exchange.message.size = message.shape[0]
        exchange.authorization.data = <const uint8_t*><const char*>authorization
        exchange.authorization.size = len(authorization)
        exchange.certificate.data, exchange.certificate.size = NULL, 0
        exchange.out, exchange.position = &out, POSITION_NONE
        with nogil:
            given = table_answer(self, &exchange)
        answer = out.data[5:out.size] if given == VERDICT_ANSWERED else None
        free(out.data)
        refused = None
        if given == VERDICT_REFUSED:
            refused = (bytes(exchange.refusal.message), bytes(exchange.refusal.details))
        return answer, exchange.position if exchange.position >= 0 else None, refused

    cdef verdict answer(self, exchange* exchange) noexcept nogil:
        cdef char[64] made
        cdef RequestContext context
        cdef int32_t code
        cdef Declined declined = NOT_USUAL
        context.started, context.moment = monotonic_ns(), epoch_seconds()
        context.message, context.slow_ns = self.message, self.slow_ns
        context.clock, context.out = &self.clock, exchange.out
        with self.guard:
            self.clock.seen += 1
            self.clock.is_timed = self.clock.seen % TIMED_OF == 0
            self.clock.last_ns = context.started
            if read_request(exchange.message.data, exchange.message.size, self.message) == 0:
                code = string_code(
                    &self.names, <const char*>self.message.model.data, self.message.model.size
                )
                if code < 0:
                    declined = NO_TARGET
                else:
                    context.identity = self.identity(made, sizeof(made))
                    declined = self.admit(self.routes[code], &context, exchange)
            self.counts[<int>declined] += 1
        if declined == TAKEN:
            return VERDICT_ANSWERED
        return VERDICT_REFUSED if declined == REFUSED else VERDICT_DECLINED

    cdef Declined admit(
        self, const RoutePlan* route, RequestContext* context, exchange* exchange
    ) noexcept nogil:
        """Authenticate and throttle a request, then serve it; Python serves what is declined."""
        cdef Principal principal = self._anyone
        cdef Declined declined
        cdef Reached reached
        cdef double wait = 0, now = <double>context.started * 1e-9
        if self._asks_who and self.credentials.look(
            Text(exchange.authorization.data, exchange.authorization.size),
            Text(exchange.certificate.data, exchange.certificate.size),
            route.hash, context.moment, now, &principal,
        ) != SHOWN_CREDENTIAL:
            return NO_CREDENTIAL
        if not self._has_limits:
            return self.serve_route(route, &principal, context, exchange)
        reached = self.limiter.enter(principal.caller, route.hash, now, &wait)
        if reached != REACHED_NONE:
            return self.refuse(route, &principal, reached, wait, now, exchange)
        declined = self.serve_route(route, &principal, context, exchange)
        if declined == TAKEN:
            self.limiter.leave(principal.caller, route.hash)
        else:
            self.limiter.undo(principal.caller, route.hash)
        return declined

    cdef Declined refuse(
        self, const RoutePlan* route, const Principal* principal, int reached, double wait,
        double now, exchange* exchange
    ) noexcept nogil:
        """Refuse what is above a limit; now and then let Python do it, which tells of it."""
        if now >= self._next_report_at:
            self._next_report_at = now + REPORT_SECONDS
            return NO_CREDENTIAL
        cdef const char* limit = b"total_requests"
        cdef double value = self.limiter.total
        if reached == REACHED_RATE:
            limit, value = b"requests_per_second", self.limiter.rate
        elif reached == REACHED_CONCURRENT:
            limit, value = b"concurrent_requests", self.limiter.concurrent
        refusal_write(&exchange.refusal, <const char*>route.quoted_name.data, limit, value, wait)
        self.limiter.count_refused()
        count_client(route.turned_away, principal.client, CLIENT_TURNED_AWAY)
        return REFUSED

    cdef Declined serve_route(
        self, const RoutePlan* route, const Principal* principal, RequestContext* context,
        exchange* exchange
    ) noexcept nogil:
        """Choose a target, let it answer, and put the request before the shadows."""
        cdef int target = 0
        cdef Declined declined
        if route.count > 1:
            if self.message.version.size:
                target = target_of(route, self.message.version)
                if target < 0:
                    return NOT_FOR_TARGET
            elif self.message.has_key:
                target = target_at(route, position_of(route.sticky, self.message.key))
            else:
                exchange.position = <int>(next_chance(&self.chance) % WEIGHT_TOTAL)
                target = target_at(route, exchange.position)
        declined = SERVE(route.targets[target], context)
        if declined == TAKEN:
            count_client(route.counts[target], principal.client, CLIENT_ANSWERED)
            if route.shadow_share and (
                position_of(route.shadowed, context.identity) < route.shadow_share
            ):
                self.shadows.put(context.identity, exchange.message, context.moment)
        return declined

    cdef slice identity(self, char* room, size_t size) noexcept nogil:
        """Return the request's own identity, or one that is made in the room."""
        if self.message.id.size:
            return self.message.id
        self.counter += 1
        return slice(<const uint8_t*>room, snprintf(
            room, size, b"%s-%llx", self.prefix, <unsigned long long>self.counter
        ))


cdef verdict table_answer(NativeRouteTable table, exchange* exchange) noexcept nogil:
    return table.answer(exchange)


cdef uint64_t next_chance(uint64_t* state) noexcept nogil:
    """Return 64 random bits: splitmix64."""
    state[0] += 0x9E3779B97F4A7C15u
    cdef uint64_t mixed = state[0]
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9u
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBu
    return mixed ^ (mixed >> 31)


cdef double epoch_seconds() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_REALTIME, &now)
    return <double>now.tv_sec + <double>now.tv_nsec * 1e-9
