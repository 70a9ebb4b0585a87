#include "shadow_calls.h"

enum { CALLS_LIMIT = 1000, BYTES_LIMIT = 8 << 20 };

int gnomon_shadow_queue_init(struct shadow_queue *queue) {
    if (pthread_mutex_init(&queue->lock, NULL)) return -1;
    return pthread_cond_init(&queue->arrived, NULL) ? -1 : 0;
}

void gnomon_shadow_queue_clear(struct shadow_queue *queue) {
    while (queue->first) {
        struct shadow_call *call = queue->first;
        queue->first = call->next;
        free(call);
    }
    pthread_mutex_destroy(&queue->lock);
    pthread_cond_destroy(&queue->arrived);
}

static int has_room(const struct shadow_queue *queue, size_t bytes) {
    return !queue->is_closed && queue->calls < CALLS_LIMIT && queue->bytes + bytes <= BYTES_LIMIT;
}

static struct shadow_call *copy(struct slice identity, struct slice message, double moment) {
    struct shadow_call *call = malloc(sizeof *call + identity.size + message.size);
    if (!call) return NULL;
    call->next = NULL;
    call->moment = moment;
    call->identity_size = identity.size;
    call->message_size = message.size;
    memcpy(call->data, identity.data, identity.size);
    memcpy(call->data + identity.size, message.data, message.size);
    return call;
}

void gnomon_shadow_queue_put(struct shadow_queue *queue, struct slice identity,
                             struct slice message, double moment) {
    size_t bytes = identity.size + message.size;
    struct shadow_call *call = NULL;
    pthread_mutex_lock(&queue->lock);
    if (has_room(queue, bytes)) call = copy(identity, message, moment);
    if (call) {
        if (queue->last) queue->last->next = call;
        else queue->first = call;
        queue->last = call;
        queue->calls++;
        queue->bytes += bytes;
        pthread_cond_signal(&queue->arrived);
    } else {
        queue->dropped++;
    }
    pthread_mutex_unlock(&queue->lock);
}

struct shadow_call *gnomon_shadow_queue_take(struct shadow_queue *queue) {
    pthread_mutex_lock(&queue->lock);
    while (!queue->first && !queue->is_closed) pthread_cond_wait(&queue->arrived, &queue->lock);
    struct shadow_call *call = queue->is_closed ? NULL : queue->first;
    if (call) {
        queue->first = call->next;
        if (!queue->first) queue->last = NULL;
        queue->calls--;
        queue->bytes -= call->identity_size + call->message_size;
    }
    pthread_mutex_unlock(&queue->lock);
    return call;
}

void gnomon_shadow_queue_close(struct shadow_queue *queue) {
    pthread_mutex_lock(&queue->lock);
    queue->is_closed = 1;
    pthread_cond_broadcast(&queue->arrived);
    pthread_mutex_unlock(&queue->lock);
}
