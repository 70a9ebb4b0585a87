# What became of each client's requests, counted from any thread without a lock.

from libc.stdint cimport uint64_t

cdef enum:
    # The first stands for all who have no place of their own.
    CLIENTS = 65
    OUTCOMES = 4

cdef enum ClientOutcome:
    CLIENT_ANSWERED = 0
    CLIENT_REFUSED = 1
    CLIENT_FAILED = 2
    CLIENT_TURNED_AWAY = 3

cdef extern from *:
    """
    #define count_one(place) __atomic_fetch_add(place, 1, __ATOMIC_RELAXED)
    """
    void count_one(uint64_t* place) noexcept nogil


cdef class ClientCounts:
    cdef uint64_t[CLIENTS * OUTCOMES] counts


cdef inline void count_client(uint64_t* counts, int client, ClientOutcome outcome) noexcept nogil:
    count_one(&counts[client * OUTCOMES + <int>outcome])
