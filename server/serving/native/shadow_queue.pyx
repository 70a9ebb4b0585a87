"""Requests that were answered without the GIL and that shadows receive too, on a Python thread."""

from libc.stdlib cimport free

__all__ = ["NativeShadowQueue"]


cdef class NativeShadowQueue:
    def __cinit__(self):
        if shadow_queue_init(&self.queue):
            raise MemoryError
        self._is_ready = True

    def __dealloc__(self):
        if self._is_ready:
            shadow_queue_clear(&self.queue)

    @property
    def dropped(self):
        return self.queue.dropped

    def take(self):
        cdef shadow_call* found
        with nogil:
            found = shadow_queue_take(&self.queue)
        if found == NULL:
            return None
        cdef const char* data = <const char*>found.data
        identity = data[:found.identity_size].decode()
        message = data[found.identity_size:found.identity_size + found.message_size]
        moment = found.moment
        free(found)
        return identity, message, moment

    def close(self):
        shadow_queue_close(&self.queue)

    cdef void put(self, slice identity, slice message, double moment) noexcept nogil:
        shadow_queue_put(&self.queue, identity, message, moment)
