/* The queue in which calls of all loops wait for Python's threads. */
#include "call_queue.h"

#include "clock.h"
#include "handover.h"

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
    if (call->previous) call->previous->next = call->next;
    else queue->first = call->next;
    if (call->next) call->next->previous = call->previous;
    else queue->last = call->previous;
    call->previous = call->next = NULL;
    queue->waiting--;
}

int gnomon_queue_put(struct call *call) {
    struct queue *queue = call->loop->queue;
    const struct buffer *peer = &call->connection->peer;
    if (!call->certificate.size && buffer_append(&call->certificate, peer->data, peer->size)) {
        call->connection->is_broken = 1;
        return 0;
    }
    pthread_mutex_lock(&queue->lock);
    int is_full = queue->waiting >= queue->limit;
    if (!is_full) gnomon_queue_append(queue, call);
    pthread_mutex_unlock(&queue->lock);
    return is_full ? -1 : 0;
}

struct call *gnomon_queue_take(struct queue *queue) {
    pthread_mutex_lock(&queue->lock);
    while (!queue->first && queue->loops) pthread_cond_wait(&queue->arrived, &queue->lock);
    struct call *call = queue->first;
    if (call) {
        gnomon_queue_remove(queue, call);
        call->state = CALL_RUNNING;
        queue->running++;
        if (call->streaming) call->streaming->has_owner = call->streaming->has_turn = 1;
    }
    pthread_mutex_unlock(&queue->lock);
    return call;
}

void gnomon_queue_give_back(struct call *call) {
    struct loop *loop = call->loop;
    pthread_mutex_lock(&loop->queue->lock);
    call->state = CALL_DONE;
    gnomon_handover_add_done(loop, call);
    loop->queue->running--;
    pthread_mutex_unlock(&loop->queue->lock);
    gnomon_handover_signal(loop);
}

void gnomon_queue_join(struct queue *queue) {
    pthread_mutex_lock(&queue->lock);
    queue->loops++;
    pthread_mutex_unlock(&queue->lock);
}

void gnomon_queue_leave(struct queue *queue) {
    pthread_mutex_lock(&queue->lock);
    if (!--queue->loops) pthread_cond_broadcast(&queue->arrived);
    pthread_mutex_unlock(&queue->lock);
}
