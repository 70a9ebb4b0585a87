/* Calls of many messages each way, on the loop. `call->streaming` is set by `gnomon_bidi_open`. */
#ifndef GNOMON_BIDI_H
#define GNOMON_BIDI_H

#include "state.h"

/* The headers are whole. If there is no memory, the connection is marked as broken. */
void gnomon_bidi_open(struct call *call, int has_ended);
/* More bytes have come; the whole messages among them go to Python one by one. */
void gnomon_bidi_data(struct call *call, const uint8_t *data, size_t size);
/* The client sends no more. */
void gnomon_bidi_no_more(struct call *call);
/* End the call with a status, unless its end is decided already. */
void gnomon_bidi_refuse(struct call *call, enum status status, const char *message);
/* Look at what Python's threads have done to the call; frees it if nobody knows it any more. */
void gnomon_bidi_attend(struct call *call);
/* Its stream has ended, and it has left its connection: free it, unless Python owns it. */
void gnomon_bidi_end(struct call *call);

/* Whether the client owes the rest of a message. */
int gnomon_bidi_is_arriving(struct call *call);
/* Whether the client does not read what was sent. */
int gnomon_bidi_is_unread(const struct call *call);

#endif
