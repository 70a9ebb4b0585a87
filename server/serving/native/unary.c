/* Calls of one message each way. */
#include "unary.h"

#include "call.h"
#include "call_queue.h"
#include "framing.h"
#include "queue_lock.h"
#include "response.h"

#include <stdio.h>

static const h2_header WELL[] = {H2_HEADER("grpc-status", "0")};

static ssize_t read_response(h2_session *session, int32_t stream, uint8_t *out, size_t room,
                             uint32_t *flags, h2_source *source, void *user) {
    struct call *call = source->pointer;
    (void)user;
    size_t left = call->response.size - call->sent;
    size_t size = left < room ? left : room;
    memcpy(out, call->response.data + call->sent, size);
    call->sent += size;
    if (size == left) {
        *flags |= H2_DATA_EOF | H2_DATA_NO_END_STREAM;
        if (gnomon_h2.submit_trailer(session, stream, WELL, 1)) return H2_STREAM_FAILED;
    }
    return (ssize_t)size;
}

static void answer(struct call *call) {
    h2_provider provider = {{.pointer = call}, read_response};
    call->state = CALL_ANSWERING;
    gnomon_call_hold(call, call->response.size);
    gnomon_submit_response(call, &provider);
}

void gnomon_unary_submit(struct call *call) {
    GNOMON_ASSERT_ON_LOOP(call->loop);
    GNOMON_ASSERT(!call->streaming);
    if (call->trailer_count) gnomon_submit_trailers(call, 1);
    else answer(call);
}

int gnomon_unary_data(struct call *call, const uint8_t *data, size_t size) {
    GNOMON_ASSERT_ON_LOOP(call->loop);
    GNOMON_ASSERT(!call->streaming);
    struct connection *connection = call->connection;
    const struct limits *limits = &call->loop->limits;
    if (call->state != CALL_RECEIVING) return 0;
    if (buffer_append(&call->body, data, size)) return -1;
    gnomon_call_hold(call, size);
    if (!call->expected && call->body.size >= PREFIX_BYTES) {
        call->expected = PREFIX_BYTES + gnomon_message_size(call->body.data);
    }
    if (call->expected > PREFIX_BYTES + limits->message_bytes) {
        char message[96];
        snprintf(message, sizeof message, "Received message larger than max (%zu vs. %zu)",
                 call->expected - PREFIX_BYTES, limits->message_bytes);
        gnomon_call_refuse(call, STATUS_RESOURCE_EXHAUSTED, message, 0);
    } else if (call->expected && call->body.size > call->expected) {
        gnomon_call_refuse(call, STATUS_INVALID_ARGUMENT, "a call of this method has one message",
                           0);
    } else if (connection->held > limits->connection_bytes ||
               connection->loop->held > limits->total_bytes) {
        gnomon_call_refuse(call, STATUS_RESOURCE_EXHAUSTED,
                           "too many bytes are under way; try later", 0);
    }
    if (call->state != CALL_RECEIVING) buffer_clear(&call->body, 0);
    return 0;
}

/* Answer or refuse a prediction without Python; 0 if that is not possible. */
static int end_here(struct call *call) {
    struct loop *loop = call->loop;
    struct exchange exchange;
    exchange.message =
        (struct slice){call->body.data + PREFIX_BYTES, call->body.size - PREFIX_BYTES};
    exchange.authorization = (struct slice){call->authorization.data, call->authorization.size};
    exchange.certificate = (struct slice){call->connection->peer.data, call->connection->peer.size};
    exchange.out = &call->response;
    exchange.position = POSITION_NONE;
    enum verdict verdict = loop->answer(loop->context, &exchange);
    call->position = exchange.position;
    if (verdict == VERDICT_ANSWERED) {
        answer(call);
    } else if (verdict == VERDICT_REFUSED) {
        const char *details = exchange.refusal.details;
        gnomon_call_add_trailer(call, "gnomon-code", 11, "overloaded", 10);
        gnomon_call_add_trailer(call, "gnomon-details-bin", 18, details, strlen(details));
        gnomon_call_refuse(call, STATUS_RESOURCE_EXHAUSTED, exchange.refusal.message, 1);
    }
    return verdict != VERDICT_DECLINED;
}

void gnomon_unary_complete(struct call *call) {
    GNOMON_ASSERT_ON_LOOP(call->loop);
    GNOMON_ASSERT(!call->streaming);
    struct loop *loop = call->loop;
    enum status status;
    const char *fault;
    loop->counts.declined++;
    if (call->http_status) {
        gnomon_submit_trailers(call, 1);
    } else if (call->header_bytes > loop->limits.header_bytes) {
        gnomon_call_refuse(call, STATUS_RESOURCE_EXHAUSTED, "the request's metadata are too large",
                           1);
    } else if (!call->is_known) {
        gnomon_call_refuse(call, STATUS_UNIMPLEMENTED, "Method not found!", 1);
    } else if (call->body.size < PREFIX_BYTES || call->body.size != call->expected) {
        gnomon_call_refuse(call, STATUS_INVALID_ARGUMENT,
                           "the request ends within a message; it must be one whole message", 1);
    } else if ((fault = gnomon_message_fault(call, call->body.data, &status))) {
        gnomon_call_refuse(call, status, fault, 1);
    } else if (call->deadline && call->deadline <= loop->now) {
        gnomon_call_refuse(call, STATUS_DEADLINE_EXCEEDED, "Deadline Exceeded", 1);
    } else if (call->is_infer && call->body.data[0] == 0 && end_here(call)) {
        loop->counts.declined--;
    } else if (gnomon_queue_put(call)) {
        gnomon_call_add_trailer(call, "gnomon-code", 11, "overloaded", 10);
        gnomon_call_refuse(call, STATUS_RESOURCE_EXHAUSTED, "too many calls wait; try later", 1);
    }
}

void gnomon_unary_end(struct call *call) {
    GNOMON_ASSERT_ON_LOOP(call->loop);
    GNOMON_ASSERT(!call->streaming);
    struct queue *queue = call->loop->queue;
    queue_lock(queue);
    call->connection = NULL;
    if (call->state == CALL_WAITING) {
        gnomon_queue_remove(queue, call);
        call->state = CALL_ANSWERING;
    }
    int is_free = call->state != CALL_RUNNING && call->state != CALL_DONE;
    queue_unlock(queue);
    if (is_free) gnomon_call_free(call->loop, call);
}
