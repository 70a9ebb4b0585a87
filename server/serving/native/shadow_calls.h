/* Requests that were answered and are to be asked of shadows too: bounded, never waited for. */
#ifndef GNOMON_SHADOW_CALLS_H
#define GNOMON_SHADOW_CALLS_H

#include <pthread.h>

#include "buffer.h"

struct shadow_call {
    struct shadow_call *next;
    double moment; /* epoch seconds */
    size_t identity_size, message_size;
    uint8_t data[]; /* identity, then message */
};

struct shadow_queue {
    pthread_mutex_t lock;
    pthread_cond_t arrived;
    struct shadow_call *first, *last;
    int calls, is_closed;
    size_t bytes;
    uint64_t dropped;
};

/* Before any thread uses it: 0, or -1 if the system refuses. */
int gnomon_shadow_queue_init(struct shadow_queue *queue);
/* After all threads are done with it: free what waits, and the lock. */
void gnomon_shadow_queue_clear(struct shadow_queue *queue);
/* From any thread: put a copy, or count the request as dropped if there is no room. */
void gnomon_shadow_queue_put(struct shadow_queue *queue, struct slice identity,
                             struct slice message, double moment);
/* From the thread that asks shadows, waiting: a call, to be freed by the caller; NULL once the
 * queue is closed. */
struct shadow_call *gnomon_shadow_queue_take(struct shadow_queue *queue);
/* From any thread: wake who waits; nothing is put or taken any more. */
void gnomon_shadow_queue_close(struct shadow_queue *queue);

#endif
