/* One call: its pool, what it holds in memory, and its trailers. */
#ifndef GNOMON_CALL_H
#define GNOMON_CALL_H

#include "state.h"

/* On the loop: a call of a connection, in CALL_RECEIVING; NULL if there is no memory. The loop owns
 * it until it is given to the queue. */
struct call *gnomon_call_new(struct connection *connection, int32_t stream);
/* On the loop, once: the call's stream or connection has ended. Its memory is no more counted; its
 * `connection` is still set, since other threads read that under the queue's lock. */
void gnomon_call_leave_connection(struct call *call);
/* On the loop, for a call that nobody else knows: put it into the pool, or release it. */
void gnomon_call_free(struct loop *loop, struct call *call);
/* From the loop's owner: give back the memory of a call that is in no list. */
void gnomon_call_release(struct call *call);

/* On the loop, for a call with a connection: count bytes of memory, or count them no more. */
void gnomon_call_hold(struct call *call, size_t bytes);
void gnomon_call_let_go(struct call *call, size_t bytes);

/* From whoever may end the call: the loop before it is queued, then the thread that took it, or the
 * one that has claimed it. Both texts are copied. 0, or -1 if there are TRAILERS_LIMIT already or
 * there is no memory. */
int gnomon_call_add_trailer(struct call *call, const char *name, size_t name_size,
                            const char *value, size_t value_size);

#endif
