/* The queue in which calls of all loops wait for Python's threads. Its lock guards all that threads
 * share; who holds it calls nothing that may wait. */
#ifndef GNOMON_CALL_QUEUE_H
#define GNOMON_CALL_QUEUE_H

#include "state.h"

/* Before any loop runs: at most `limit` calls wait. 0, or -1 if the system refuses. */
int gnomon_queue_init(struct queue *queue, int limit);
/* After all loops and threads are done with it. */
void gnomon_queue_destroy(struct queue *queue);

/* From any thread, without the lock: one more loop is to run; one has ended or never will run.
 * `gnomon_queue_take` returns NULL to all once as many have left as have joined. */
void gnomon_queue_join(struct queue *queue);
void gnomon_queue_leave(struct queue *queue);

/* On the call's loop, without the lock: let the call wait for Python's threads. 0: the queue knows
 * the call; or its connection is marked as broken, if there is no memory. -1: too many wait
 * already; the call stays the loop's. */
int gnomon_queue_put(struct call *call);

/* From Python's threads, without the lock, waiting: the call that waits longest, in CALL_RUNNING
 * and owned by the caller; NULL once all loops have left. */
struct call *gnomon_queue_take(struct queue *queue);
/* From the thread that took a unary call, without the lock: hand it back, to be answered with its
 * response or its trailers. The call is the loop's from then on. */
void gnomon_queue_give_back(struct call *call);

/* From any thread, with the lock held. */
void gnomon_queue_append(struct queue *queue, struct call *call);
void gnomon_queue_remove(struct queue *queue, struct call *call);
/* Back to CALL_RECEIVING, if it waits. */
void gnomon_queue_withdraw(struct call *call);

#endif
