/* One loop: made, run in a thread of its own, drained from another, freed. */
#ifndef GNOMON_EVENT_LOOP_H
#define GNOMON_EVENT_LOOP_H

#include "state.h"

/* A loop that is to run; NULL if there is no memory or no descriptor left. The listener becomes the
 * loop's, and is -1 for a loop that is given its connections. `queue`, `streaming` and `context`
 * stay the caller's, and must outlive the loop. */
struct loop *gnomon_loop_new(int listener, const struct limits *limits, struct queue *queue,
                             const char *streaming, answer_function answer, void *context);
/* After `gnomon_loop_run` has returned, or if it never was called: close and free all. */
void gnomon_loop_free(struct loop *loop);
/* Serve, in the thread that calls, until `gnomon_loop_drain` was called and everything has ended.
 * Once. */
void gnomon_loop_run(struct loop *loop);
/* From any thread, without the queue's lock: end in two steps, cutting what is left after the
 * grace. The loop must not be freed yet. */
void gnomon_loop_drain(struct loop *loop, uint64_t grace_nanoseconds);

#endif
