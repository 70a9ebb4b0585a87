/* The states of a call of many messages, and how they follow each other. */
#ifndef GNOMON_BIDI_STATE_H
#define GNOMON_BIDI_STATE_H

#include "state.h"

/* On the loop. A transition that the table in bidi_state.c does not have ends a debug build. */
void gnomon_bidi_set_request(struct call *call, enum bidi_request request);
void gnomon_bidi_set_response(struct call *call, enum bidi_response response);

/* From any thread, with the lock held; transitions as above. */
void gnomon_bidi_set_turn(struct call *call, enum bidi_turn turn);
void gnomon_bidi_set_ending(struct call *call, enum bidi_ending ending);
/* From any thread, with the lock held: whether an object of Python's stands for the call. */
int gnomon_bidi_is_owned(const struct call *call);

/* From any thread, without the lock: decide how the call ends. 1: the caller does; 0: that was
 * decided before. */
int gnomon_bidi_claim(struct call *call);
/* From any thread, without the lock: whether the end is decided, so that no more is taken or
 * sent. */
int gnomon_bidi_is_claimed(struct call *call);

#endif
