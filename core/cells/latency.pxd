# Log-linear buckets of nanoseconds: 0…15 one by one, then 16 to each factor of two.

cdef extern from *:
    int __builtin_clzll(unsigned long long) noexcept nogil

cdef enum:
    LATENCY_BUCKETS = 608


cdef inline int latency_bucket(long long nanoseconds) noexcept nogil:
    cdef int octave
    if nanoseconds < 16:
        return <int>nanoseconds if nanoseconds > 0 else 0
    octave = 63 - __builtin_clzll(<unsigned long long>nanoseconds)
    if octave > 40:
        return LATENCY_BUCKETS - 1
    return (octave - 3) * 16 + <int>((nanoseconds >> (octave - 4)) & 15)
