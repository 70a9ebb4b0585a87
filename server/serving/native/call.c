#include "call.h"

enum { POOL_LIMIT = 256 };

struct call *gnomon_call_new(struct connection *connection, int32_t stream) {
    GNOMON_ASSERT_ON_LOOP(connection->loop);
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

void gnomon_call_leave_connection(struct call *call) {
    GNOMON_ASSERT_ON_LOOP(call->loop);
    struct connection *connection = call->connection;
    if (call->older) call->older->newer = call->newer;
    else connection->calls = call->newer;
    if (call->newer) call->newer->older = call->older;
    connection->call_count--;
    gnomon_call_let_go(call, call->held);
    call->older = call->newer = NULL;
}

void gnomon_call_release(struct call *call) {
    free(call->authorization.data);
    free(call->certificate.data);
    free(call->body.data);
    free(call->response.data);
    free(call);
}

static void free_streaming(struct call *call) {
    if (!call->streaming) return;
    free(call->streaming->inbox.data);
    free(call->streaming->outbox.data);
    free(call->streaming);
    call->streaming = NULL;
}

void gnomon_call_free(struct loop *loop, struct call *call) {
    GNOMON_ASSERT_ON_LOOP(loop);
    for (int index = 0; index < call->trailer_count; index++) {
        free(call->trailers[index].name);
    }
    free(call->trailers);
    call->trailers = NULL;
    free_streaming(call);
    if (loop->pooled >= POOL_LIMIT) {
        gnomon_call_release(call);
        return;
    }
    buffer_clear(&call->authorization, KEPT_BYTES);
    buffer_clear(&call->certificate, KEPT_BYTES);
    buffer_clear(&call->body, KEPT_BYTES);
    buffer_clear(&call->response, KEPT_BYTES);
    call->state = CALL_FREE;
    call->encoding = ENCODING_IDENTITY;
    call->is_known = call->is_infer = call->is_streaming = call->is_cut = 0;
    call->http_status = call->trailer_count = call->has_authorization = 0;
    call->header_bytes = call->expected = call->path_size = call->sent = 0;
    call->deadline = 0;
    call->previous = NULL;
    call->next = loop->pool;
    loop->pool = call;
    loop->pooled++;
}

void gnomon_call_hold(struct call *call, size_t bytes) {
    GNOMON_ASSERT_ON_LOOP(call->loop);
    call->held += bytes;
    call->connection->held += bytes;
    call->loop->held += bytes;
}

void gnomon_call_let_go(struct call *call, size_t bytes) {
    GNOMON_ASSERT(bytes <= call->held);
    GNOMON_ASSERT_ON_LOOP(call->loop);
    call->held -= bytes;
    call->connection->held -= bytes;
    call->loop->held -= bytes;
}

int gnomon_call_add_trailer(struct call *call, const char *name, size_t name_size,
                            const char *value, size_t value_size) {
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
