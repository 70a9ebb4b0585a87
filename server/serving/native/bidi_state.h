/* The states of a call of many messages that its loop and Python's threads share. */
#ifndef GNOMON_BIDI_STATE_H
#define GNOMON_BIDI_STATE_H

#include "state.h"

void gnomon_bidi_lock(struct call *call);
void gnomon_bidi_unlock(struct call *call);

/* From any thread, without the lock: whether the caller is the one who says how the call ends. */
int gnomon_bidi_claim(struct call *call);
/* From any thread, without the lock: whether no more is taken or sent. */
int gnomon_bidi_is_claimed(struct call *call);

/* From any thread, with the lock held: take the call out of the queue, if it waits there. */
void gnomon_bidi_leave_queue(struct call *call);

#endif
