/* The lock that guards all that threads share. Who holds it calls nothing that may wait. */
#ifndef GNOMON_QUEUE_LOCK_H
#define GNOMON_QUEUE_LOCK_H

#include "state.h"

static inline void queue_lock(struct queue *queue) {
    pthread_mutex_lock(&queue->lock);
#ifdef GNOMON_DEBUG
    queue->holder = pthread_self();
    queue->is_held = 1;
#endif
}

static inline void queue_unlock(struct queue *queue) {
    GNOMON_ASSERT_LOCKED(queue);
#ifdef GNOMON_DEBUG
    queue->is_held = 0;
#endif
    pthread_mutex_unlock(&queue->lock);
}

/* With the lock held: let it go until a call arrives or all loops have left. */
static inline void queue_wait(struct queue *queue) {
    GNOMON_ASSERT_LOCKED(queue);
#ifdef GNOMON_DEBUG
    queue->is_held = 0;
#endif
    pthread_cond_wait(&queue->arrived, &queue->lock);
#ifdef GNOMON_DEBUG
    queue->holder = pthread_self();
    queue->is_held = 1;
#endif
}

#endif
