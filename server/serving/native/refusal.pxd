# What is said to a caller who asks for too much.

from gnomon.server.serving.native.exchange cimport refusal

cdef extern from "refusal.h":
    void refusal_write "gnomon_refusal_write"(
        refusal*, const char*, const char*, double, double
    ) nogil
