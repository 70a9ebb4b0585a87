/* Calls of many messages each way, on the loop. `call->streaming` is set by `bidi_open`. */
#ifndef GNOMON_BIDI_H
#define GNOMON_BIDI_H

#include "state.h"

/* The headers are whole. If there is no memory, the connection is marked as broken. */
void bidi_open(struct call *call, int has_ended);
/* More bytes have come; the whole messages among them go to Python one by one. */
void bidi_data(struct call *call, const uint8_t *data, size_t size);
/* The client sends no more. */
void bidi_no_more(struct call *call);
/* End the call with a status, unless its end is decided already. */
void bidi_refuse(struct call *call, enum status status, const char *message);
/* Look at what Python's threads have done to the call; frees it if nobody knows it any more. */
void bidi_attend(struct call *call);
/* Its stream has ended, and it has left its connection: free it, unless Python owns it. */
void bidi_end(struct call *call);

/* Whether the client owes the rest of a message. */
int bidi_is_arriving(struct call *call);
/* Whether the client does not read what was sent. */
int bidi_is_unread(const struct call *call);

#endif
