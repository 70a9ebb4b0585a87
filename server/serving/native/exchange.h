/* One request for a prediction, between the loop that has read it and what answers it. All of it is
 * the loop's, and is valid until the function returns. */
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
    /* The traffic bucket drawn for the request, for whoever answers it instead; or
     * POSITION_NONE. */
    int position;
    struct refusal refusal;
};

/* Called on the loop's thread, without the interpreter's lock and without the queue's; it must not
 * wait. `context` is the loop's maker's. */
typedef enum verdict (*answer_function)(void *context, struct exchange *exchange);

#endif
