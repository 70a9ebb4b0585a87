/* What Python's threads do to a call of many messages. Between `gnomon_queue_take` and
 * `gnomon_servicer_leave` an object of Python's owns the call; any of its threads may use it, one
 * at a time for what ends it. All run without the queue's lock. */
#ifndef GNOMON_SERVICER_H
#define GNOMON_SERVICER_H

#include "state.h"

enum sent { SENT, SENT_TO_NOBODY, SENT_TOO_MUCH, SENT_NO_MEMORY };

/* Copy a message to what the loop is to send. */
enum sent gnomon_servicer_send(struct call *call, const uint8_t *message, size_t size);
/* Whether the call's end is decided: nothing that is sent is taken any more. */
int gnomon_servicer_is_over(struct call *call);
/* Be done with the message that came last; the call comes again from the queue with the next. */
void gnomon_servicer_give_turn(struct call *call);
/* Whether the caller decides the end: 1, to be followed by trailers and
 * `gnomon_servicer_leave(call, 1)`; 0: it was decided before, and only `gnomon_servicer_leave(call,
 * 0)` may follow. */
int gnomon_servicer_claim(struct call *call);
/* Let go of the call, which may be freed at once. `is_finished`: the caller has claimed it, and its
 * trailers are whole. */
void gnomon_servicer_leave(struct call *call, int is_finished);

#endif
