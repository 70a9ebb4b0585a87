/* Calls: their pool, and the queue in which they wait for Python's threads. */
#include "transport.h"

#include <unistd.h>

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
    connection->held -= call->held;
    connection->loop->held -= call->held;
    call->held = 0;
    call->older = call->newer = NULL;
}

static void leave_queue(struct loop *loop, struct call *call) {
    if (call->previous) call->previous->next = call->next;
    else loop->first = call->next;
    if (call->next) call->next->previous = call->previous;
    else loop->last = call->previous;
    call->previous = call->next = NULL;
    loop->waiting--;
}

void call_end(struct call *call) {
    struct loop *loop = call->connection->loop;
    leave_connection(call);
    pthread_mutex_lock(&loop->lock);
    call->connection = NULL;
    if (call->state == CALL_WAITING) {
        leave_queue(loop, call);
        call->state = CALL_ANSWERING;
    }
    int is_free = call->state != CALL_RUNNING && call->state != CALL_DONE;
    pthread_mutex_unlock(&loop->lock);
    if (is_free) call_free(loop, call);
}

void call_free(struct loop *loop, struct call *call) {
    for (int index = 0; index < call->trailer_count; index++) {
        free(call->trailers[index].name);
    }
    if (loop->pooled >= POOL_LIMIT) {
        free(call->authorization.data);
        free(call->body.data);
        free(call->response.data);
        free(call);
        return;
    }
    buffer_clear(&call->authorization, KEPT_BYTES);
    buffer_clear(&call->body, KEPT_BYTES);
    buffer_clear(&call->response, KEPT_BYTES);
    call->state = CALL_FREE;
    call->encoding = ENCODING_IDENTITY;
    call->is_known = call->is_infer = call->is_cut = call->http_status = call->trailer_count = 0;
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
    call->connection->loop->held += bytes;
}

int call_add_trailer(struct call *call, const char *name, size_t name_size, const char *value,
                     size_t value_size) {
    if (call->trailer_count == TRAILERS_LIMIT) return -1;
    char *text = malloc(name_size + value_size + 1);
    if (!text) return -1;
    memcpy(text, name, name_size);
    memcpy(text + name_size, value, value_size);
    call->trailers[call->trailer_count++] =
        (struct trailer){text, text + name_size, name_size, value_size};
    return 0;
}

void queue_put(struct loop *loop, struct call *call) {
    pthread_mutex_lock(&loop->lock);
    int is_full = loop->waiting >= loop->limits.waiting_calls;
    if (!is_full) {
        call->state = CALL_WAITING;
        call->previous = loop->last;
        call->next = NULL;
        if (loop->last) loop->last->next = call;
        else loop->first = call;
        loop->last = call;
        loop->waiting++;
        pthread_cond_signal(&loop->arrived);
    }
    pthread_mutex_unlock(&loop->lock);
    if (is_full) {
        call_add_trailer(call, "gnomon-code", 11, "overloaded", 10);
        call_refuse(call, STATUS_RESOURCE_EXHAUSTED, "too many calls wait; try later");
    }
}

struct call *queue_take(struct loop *loop) {
    pthread_mutex_lock(&loop->lock);
    while (!loop->first && !loop->is_stopped) pthread_cond_wait(&loop->arrived, &loop->lock);
    struct call *call = loop->first;
    if (call) {
        leave_queue(loop, call);
        call->state = CALL_RUNNING;
        loop->running++;
    }
    pthread_mutex_unlock(&loop->lock);
    return call;
}

void queue_give_back(struct loop *loop, struct call *call) {
    pthread_mutex_lock(&loop->lock);
    call->state = CALL_DONE;
    call->next = loop->done;
    loop->done = call;
    loop->running--;
    pthread_mutex_unlock(&loop->lock);
    wake_loop(loop);
}

void queue_stop(struct loop *loop) {
    pthread_mutex_lock(&loop->lock);
    loop->is_stopped = 1;
    pthread_cond_broadcast(&loop->arrived);
    pthread_mutex_unlock(&loop->lock);
}

void wake_loop(struct loop *loop) {
    uint64_t one = 1;
    /* A counter that is full wakes the loop as well. */
    ssize_t written = write(loop->wake, &one, sizeof one);
    (void)written;
}
