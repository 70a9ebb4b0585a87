# One request for a prediction, between the loop and what answers it.

from gnomon.server.serving.native.buffer cimport buffer, slice

cdef extern from "exchange.h":
    enum verdict:
        VERDICT_ANSWERED
        VERDICT_DECLINED
        VERDICT_REFUSED

    enum:
        POSITION_NONE

    struct refusal:
        char[256] message
        char[256] details

    struct exchange:
        slice message
        slice authorization
        slice certificate
        buffer* out
        int position
        refusal refusal

    ctypedef verdict (*answer_function)(void*, exchange*)
