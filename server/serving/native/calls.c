/* Calls: their pool, and the queue in which they wait for Python's threads. */
#include "transport.h"

enum { POOL_LIMIT = 256 };

struct call *call_new(struct connection *connection, int32_t stream) {
    struct loop *loop = connection->loop;
    struct call *call = loop->pool;
    if (call) {
        loop->pool = call->next;
        loop->pooled--;
        call->next = NULL;
    } else if (!(call = calloc(1, sizeof *call))) {
        return NULL;
    }
    call->state = CALL_RECEIVING;
    call->position = POSITION_NONE;
    call->loop = loop;
    call->stream = stream;
    call->connection = connection;
    call->older = NULL;
    call->newer = connection->calls;
    if (connection->calls) connection->calls->older = call;
    connection->calls = call;
    connection->call_count++;
    return call;
}

static void leave_connection(struct call *call) {
    struct connection *connection = call->connection;
    if (call->older) call->older->newer = call->newer;
    else connection->calls = call->newer;
    if (call->newer) call->newer->older = call->older;
    connection->call_count--;
    call_let_go(call, call->held);
    call->older = call->newer = NULL;
}

void queue_append(struct queue *queue, struct call *call) {
    call->state = CALL_WAITING;
    call->queued = monotonic_nanoseconds();
    call->previous = queue->last;
    call->next = NULL;
    if (queue->last) queue->last->next = call;
    else queue->first = call;
    queue->last = call;
    queue->waiting++;
    pthread_cond_signal(&queue->arrived);
}

void queue_remove(struct queue *queue, struct call *call) {
    if (call->previous) call->previous->next = call->next;
    else queue->first = call->next;
    if (call->next) call->next->previous = call->previous;
    else queue->last = call->previous;
    call->previous = call->next = NULL;
    queue->waiting--;
}

void call_end(struct call *call) {
    struct queue *queue = call->loop->queue;
    leave_connection(call);
    if (call->streaming) {
        streaming_end(call);
        return;
    }
    pthread_mutex_lock(&queue->lock);
    call->connection = NULL;
    if (call->state == CALL_WAITING) {
        queue_remove(queue, call);
        call->state = CALL_ANSWERING;
    }
    int is_free = call->state != CALL_RUNNING && call->state != CALL_DONE;
    pthread_mutex_unlock(&queue->lock);
    if (is_free) call_free(call->loop, call);
}

void call_release(struct call *call) {
    free(call->authorization.data);
    free(call->certificate.data);
    free(call->body.data);
    free(call->response.data);
    free(call);
}

void call_free(struct loop *loop, struct call *call) {
    for (int index = 0; index < call->trailer_count; index++) {
        free(call->trailers[index].name);
    }
    free(call->trailers);
    call->trailers = NULL;
    if (call->streaming) streaming_free(call);
    if (loop->pooled >= POOL_LIMIT) {
        call_release(call);
        return;
    }
    buffer_clear(&call->authorization, KEPT_BYTES);
    buffer_clear(&call->certificate, KEPT_BYTES);
    buffer_clear(&call->body, KEPT_BYTES);
    buffer_clear(&call->response, KEPT_BYTES);
    call->state = CALL_FREE;
    call->encoding = ENCODING_IDENTITY;
    call->is_known = call->is_infer = call->is_streaming = call->is_cut = 0;
    call->http_status = call->trailer_count = 0;
    call->header_bytes = call->expected = call->path_size = call->sent = 0;
    call->deadline = 0;
    call->previous = NULL;
    call->next = loop->pool;
    loop->pool = call;
    loop->pooled++;
}

void call_hold(struct call *call, size_t bytes) {
    call->held += bytes;
    call->connection->held += bytes;
    call->loop->held += bytes;
}

void call_let_go(struct call *call, size_t bytes) {
    call->held -= bytes;
    call->connection->held -= bytes;
    call->loop->held -= bytes;
}

int call_add_trailer(struct call *call, const char *name, size_t name_size, const char *value,
                     size_t value_size) {
    if (call->trailer_count == TRAILERS_LIMIT) return -1;
    if (!call->trailers && !(call->trailers = malloc(TRAILERS_LIMIT * sizeof *call->trailers)))
        return -1;
    char *text = malloc(name_size + value_size + 1);
    if (!text) return -1;
    memcpy(text, name, name_size);
    memcpy(text + name_size, value, value_size);
    call->trailers[call->trailer_count++] =
        (struct trailer){text, text + name_size, name_size, value_size};
    return 0;
}

int queue_init(struct queue *queue, int limit) {
    memset(queue, 0, sizeof *queue);
    queue->limit = limit;
    if (pthread_mutex_init(&queue->lock, NULL)) return -1;
    return pthread_cond_init(&queue->arrived, NULL);
}

void queue_destroy(struct queue *queue) {
    pthread_cond_destroy(&queue->arrived);
    pthread_mutex_destroy(&queue->lock);
}

void queue_put(struct call *call) {
    struct queue *queue = call->loop->queue;
    const struct buffer *peer = &call->connection->peer;
    if (!call->certificate.size && buffer_append(&call->certificate, peer->data, peer->size)) {
        call->connection->is_broken = 1;
        return;
    }
    pthread_mutex_lock(&queue->lock);
    int is_full = queue->waiting >= queue->limit;
    if (!is_full) queue_append(queue, call);
    pthread_mutex_unlock(&queue->lock);
    if (!is_full) return;
    if (call->streaming) {
        streaming_refuse(call, STATUS_RESOURCE_EXHAUSTED, "too many calls wait; try later");
        return;
    }
    call_add_trailer(call, "gnomon-code", 11, "overloaded", 10);
    call_refuse(call, STATUS_RESOURCE_EXHAUSTED, "too many calls wait; try later");
}

struct call *queue_take(struct queue *queue) {
    pthread_mutex_lock(&queue->lock);
    while (!queue->first && queue->loops) pthread_cond_wait(&queue->arrived, &queue->lock);
    struct call *call = queue->first;
    if (call) {
        queue_remove(queue, call);
        call->state = CALL_RUNNING;
        queue->running++;
        if (call->streaming) call->streaming->has_owner = call->streaming->has_turn = 1;
    }
    pthread_mutex_unlock(&queue->lock);
    return call;
}

void queue_give_back(struct call *call) {
    struct loop *loop = call->loop;
    pthread_mutex_lock(&loop->queue->lock);
    call->state = CALL_DONE;
    handover_add_done(loop, call);
    loop->queue->running--;
    pthread_mutex_unlock(&loop->queue->lock);
    handover_signal(loop);
}

void queue_join(struct queue *queue) {
    pthread_mutex_lock(&queue->lock);
    queue->loops++;
    pthread_mutex_unlock(&queue->lock);
}

void queue_leave(struct queue *queue) {
    pthread_mutex_lock(&queue->lock);
    if (!--queue->loops) pthread_cond_broadcast(&queue->arrived);
    pthread_mutex_unlock(&queue->lock);
}
