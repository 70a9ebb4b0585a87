/* One request for a prediction, between the loop that has read it and what answers it. */
#ifndef GNOMON_EXCHANGE_H
#define GNOMON_EXCHANGE_H

#include "buffer.h"

enum verdict {
    VERDICT_ANSWERED,
    VERDICT_DECLINED, /* Python is to answer */
    VERDICT_REFUSED,  /* `refusal` says why */
};

enum { POSITION_NONE = -1 };

/* Why too much was asked for; the code is "overloaded". */
struct refusal {
    char message[256];
    char details[256]; /* JSON, in base64 */
};

struct exchange {
    struct slice message;
    /* Who the caller says they are: the header, and the name in the certificate they have shown. */
    struct slice authorization, certificate;
    struct buffer *out; /* prefix and answer */
    /* Where chance put the request on its route, for whoever answers it instead. */
    int position;
    struct refusal refusal;
};

typedef enum verdict (*answer_function)(void *context, struct exchange *exchange);

#endif
