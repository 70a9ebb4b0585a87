/* The queue in which calls of all loops wait for Python's threads. */
#include "call_queue.h"

#include "bidi_state.h"
#include "clock.h"
#include "handover.h"
#include "queue_lock.h"

int gnomon_queue_init(struct queue *queue, int limit) {
    memset(queue, 0, sizeof *queue);
    queue->limit = limit;
    if (pthread_mutex_init(&queue->lock, NULL)) return -1;
    return pthread_cond_init(&queue->arrived, NULL);
}

void gnomon_queue_destroy(struct queue *queue) {
    pthread_cond_destroy(&queue->arrived);
    pthread_mutex_destroy(&queue->lock);
}

void gnomon_queue_append(struct queue *queue, struct call *call) {
    GNOMON_ASSERT_LOCKED(queue);
    call->state = CALL_WAITING;
    call->queued = gnomon_monotonic_nanoseconds();
    call->previous = queue->last;
    call->next = NULL;
    if (queue->last) queue->last->next = call;
    else queue->first = call;
    queue->last = call;
    queue->waiting++;
    pthread_cond_signal(&queue->arrived);
}

void gnomon_queue_remove(struct queue *queue, struct call *call) {
    GNOMON_ASSERT_LOCKED(queue);
    if (call->previous) call->previous->next = call->next;
    else queue->first = call->next;
    if (call->next) call->next->previous = call->previous;
    else queue->last = call->previous;
    call->previous = call->next = NULL;
    queue->waiting--;
}

void gnomon_queue_withdraw(struct call *call) {
    GNOMON_ASSERT_LOCKED(call->loop->queue);
    if (call->state != CALL_WAITING) return;
    gnomon_queue_remove(call->loop->queue, call);
    call->state = CALL_RECEIVING;
}

int gnomon_queue_put(struct call *call) {
    GNOMON_ASSERT(call->connection && call->state == CALL_RECEIVING);
    GNOMON_ASSERT_ON_LOOP(call->loop);
    struct queue *queue = call->loop->queue;
    const struct buffer *peer = &call->connection->peer;
    if (!call->certificate.size && buffer_append(&call->certificate, peer->data, peer->size)) {
        call->connection->is_broken = 1;
        return 0;
    }
    queue_lock(queue);
    int is_full = queue->waiting >= queue->limit;
    if (!is_full) gnomon_queue_append(queue, call);
    queue_unlock(queue);
    return is_full ? -1 : 0;
}

struct call *gnomon_queue_take(struct queue *queue) {
    queue_lock(queue);
    while (!queue->first && queue->loops) queue_wait(queue);
    struct call *call = queue->first;
    if (call) {
        gnomon_queue_remove(queue, call);
        call->state = CALL_RUNNING;
        queue->running++;
        if (call->streaming) gnomon_bidi_set_turn(call, TURN_TAKEN);
    }
    queue_unlock(queue);
    return call;
}

void gnomon_queue_give_back(struct call *call) {
    GNOMON_ASSERT(call->state == CALL_RUNNING && !call->streaming);
    struct loop *loop = call->loop;
    queue_lock(loop->queue);
    call->state = CALL_DONE;
    gnomon_handover_add_done(loop, call);
    loop->queue->running--;
    queue_unlock(loop->queue);
    gnomon_handover_signal(loop);
}

void gnomon_queue_join(struct queue *queue) {
    queue_lock(queue);
    queue->loops++;
    queue_unlock(queue);
}

void gnomon_queue_leave(struct queue *queue) {
    queue_lock(queue);
    if (!--queue->loops) pthread_cond_broadcast(&queue->arrived);
    queue_unlock(queue);
}
