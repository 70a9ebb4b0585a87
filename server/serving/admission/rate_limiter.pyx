"""Rate and concurrency limits, counted without the GIL, for all frontends.

Rate and burst follow the generic cell rate algorithm (ITU-T I.371): one number for each pair of
caller and model. Pairs are in an open-addressing table that is at most half full; idle pairs are
removed before it grows.
"""

from libc.stdlib cimport calloc, free

__all__ = ["RateLimiter"]

cdef enum:
    FIRST_ROOM = 256

# The wait that a refusal names if only the end of other calls can lift it.
cdef double SOON_SECONDS = 0.1
LIMITS = (None, "requests_per_second", "concurrent_requests", "total_requests")


cdef class RateLimiter:
    def __cinit__(self, double rate, int burst, int concurrent, int total, size_t pairs):
        self.rate, self.concurrent, self.total = rate, concurrent, total
        self.burst = burst or max(1, <int>min(rate, 1e9))
        self._interval = 1 / rate if rate > 0 else 0.0
        self._has_pairs = rate > 0 or concurrent > 0
        self._limit = pairs
        self._mask = FIRST_ROOM - 1
        self._buckets = <Bucket*>calloc(FIRST_ROOM, sizeof(Bucket))
        if self._buckets == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self._buckets)

    @property
    def pairs(self):
        with self.guard:
            used = self._used
        return used

    def let_in(self, caller, model, double now):
        cdef double wait = 0
        cdef Reached reached = self.enter(hash_of(caller), hash_of(model), now, &wait)
        return None if reached == REACHED_NONE else (LIMITS[<int>reached], wait)

    def let_out(self, caller, model):
        self.leave(hash_of(caller), hash_of(model))

    cdef Reached enter(
        self, uint64_t caller, uint64_t model, double now, double* wait
    ) noexcept nogil:
        cdef Reached reached = REACHED_NONE
        with self.guard:
            if 0 < self.total <= self.under_way:
                wait[0] = SOON_SECONDS
                reached = REACHED_TOTAL
            elif self._has_pairs:
                reached = self._enter(pair_of(caller, model), now, wait)
            if reached == REACHED_NONE:
                self.under_way += 1
        return reached

    cdef Reached _enter(self, uint64_t pair, double now, double* wait) noexcept nogil:
        cdef double due, early
        cdef Bucket* bucket = self._find(pair)
        wait[0] = SOON_SECONDS
        if not bucket.is_used:
            bucket = self._add(pair, now)
            if bucket == NULL:
                return REACHED_TOTAL
        if 0 < self.concurrent <= bucket.under_way:
            return REACHED_CONCURRENT
        if self._interval > 0:
            due = max(bucket.due, now)
            early = due - (self.burst - 1) * self._interval - now
            # Sums of intervals are rounded; a request that is due by less is due.
            if early > self._interval * 1e-6:
                wait[0] = early
                return REACHED_RATE
            bucket.due = due + self._interval
        bucket.under_way += 1
        return REACHED_NONE

    cdef void leave(self, uint64_t caller, uint64_t model) noexcept nogil:
        with self.guard:
            self.under_way -= 1
            if self._has_pairs:
                self._leave(pair_of(caller, model), 0.0)

    cdef void undo(self, uint64_t caller, uint64_t model) noexcept nogil:
        with self.guard:
            self.under_way -= 1
            if self._has_pairs:
                self._leave(pair_of(caller, model), self._interval)

    cdef void count_refused(self) noexcept nogil:
        with self.guard:
            self.refused += 1

    cdef void _leave(self, uint64_t pair, double taken) noexcept nogil:
        cdef Bucket* bucket = self._find(pair)
        # A pair with calls under way is never forgotten.
        bucket.under_way -= 1
        bucket.due -= taken

    cdef Bucket* _find(self, uint64_t pair) noexcept nogil:
        """Return the pair's bucket, or the free one where it would lie."""
        cdef size_t index = pair & self._mask
        while self._buckets[index].is_used and self._buckets[index].pair != pair:
            index = (index + 1) & self._mask
        return &self._buckets[index]

    cdef Bucket* _add(self, uint64_t pair, double now) noexcept nogil:
        """Return a new pair's bucket; NULL where there are too many pairs, or no memory."""
        cdef Bucket* bucket
        if 2 * (self._used + 1) > self._mask + 1 and not self._rebuild(now):
            return NULL
        bucket = self._find(pair)
        bucket.pair, bucket.due, bucket.under_way = pair, now, 0
        bucket.is_used = True
        self._used += 1
        return bucket

    cdef bint _rebuild(self, double now) noexcept nogil:
        """Forget pairs that are idle; make the table larger where many are left."""
        cdef Bucket* old = self._buckets
        cdef size_t index, kept = 0, room = self._mask + 1
        cdef size_t before = room
        for index in range(before):
            kept += is_live(&old[index], now)
        if kept >= self._limit:
            return False
        while 4 * (kept + 1) > room:
            room *= 2
        cdef Bucket* made = <Bucket*>calloc(room, sizeof(Bucket))
        if made == NULL:
            return False
        self._buckets, self._mask, self._used = made, room - 1, kept
        for index in range(before):
            if is_live(&old[index], now):
                self._find(old[index].pair)[0] = old[index]
        free(old)
        return True


cdef bint is_live(const Bucket* bucket, double now) noexcept nogil:
    return bucket.is_used and (bucket.due > now or bucket.under_way > 0)


cdef uint64_t hash_of(text):
    """Return Python's own hash: keyed in each process, and kept in the text."""
    return <uint64_t><Py_hash_t>hash(text)
