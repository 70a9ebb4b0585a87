/* Calls of many messages each way. Python is shown one message at a time, and none while what it
 * has sent before waits for the client; so neither side can fill this process with bytes. */
#include "bidi.h"

#include "bidi_state.h"
#include "call.h"
#include "call_queue.h"
#include "framing.h"
#include "response.h"

#include <stdio.h>

enum { UNSENT_BYTES = 1 << 18 };

static const char TOO_MUCH[] = "too many bytes are under way; try later";

/* With the lock held, and its stream ended: whether nobody knows it any more. */
static int settle(struct call *call) {
    struct streaming *own = call->streaming;
    if (own->has_owner) {
        /* Its owner learns of the end from the queue. */
        if (!own->has_turn && call->state != CALL_WAITING)
            gnomon_queue_append(call->loop->queue, call);
        return 0;
    }
    gnomon_bidi_leave_queue(call);
    return !own->has_news;
}

static void forget_inbox(struct call *call) {
    struct streaming *own = call->streaming;
    gnomon_call_let_go(call, own->inbox.size - own->taken);
    buffer_clear(&own->inbox, 0);
    own->taken = 0;
}

static ssize_t read_sent(h2_session *session, int32_t stream, uint8_t *out, size_t room,
                         uint32_t *flags, h2_source *source, void *user);

/* Let nghttp2 know that there is something to send, or the end. */
static void push(struct call *call) {
    struct streaming *own = call->streaming;
    struct connection *connection = call->connection;
    h2_provider provider = {{.pointer = call}, read_sent};
    gnomon_bidi_lock(call);
    int has_bytes = own->outbox.size > 0;
    int is_finished = own->is_finished;
    gnomon_bidi_unlock(call);
    if (!has_bytes && !is_finished) return;
    if (!own->has_begun) {
        own->has_begun = 1;
        if (has_bytes) gnomon_submit_response(call, &provider);
        else gnomon_submit_trailers(call, own->has_ended);
    } else if (own->is_resting) {
        own->is_resting = 0;
        if (gnomon_h2.session_resume_data(connection->session, call->stream))
            connection->is_broken = 1;
    }
}

void gnomon_bidi_refuse(struct call *call, enum status status, const char *message) {
    char number[4];
    int size = snprintf(number, sizeof number, "%d", status);
    if (!gnomon_bidi_claim(call)) return;
    gnomon_call_add_trailer(call, "grpc-status", 11, number, (size_t)size);
    gnomon_call_add_trailer(call, "grpc-message", 12, message, strlen(message));
    gnomon_bidi_lock(call);
    call->streaming->is_finished = 1;
    if (!call->streaming->has_owner) gnomon_bidi_leave_queue(call);
    gnomon_bidi_unlock(call);
    forget_inbox(call);
    push(call);
}

/* Open the client's window again for what was taken. */
static void open_window(struct call *call) {
    struct streaming *own = call->streaming;
    if (!own->unopened || own->has_ended) return;
    if (gnomon_h2.session_consume_stream(call->connection->session, call->stream, own->unopened))
        call->connection->is_broken = 1;
    own->unopened = 0;
}

/* Move the next whole message to where Python reads it: 1; 0 where there is none or it is bad. */
static int take_message(struct call *call) {
    struct streaming *own = call->streaming;
    size_t limit = call->loop->limits.message_bytes;
    size_t left = own->inbox.size - own->taken;
    const uint8_t *head = own->inbox.data + own->taken;
    if (left < PREFIX_BYTES) return 0;
    size_t size = gnomon_message_size(head);
    enum status status = STATUS_RESOURCE_EXHAUSTED;
    const char *fault;
    char text[96];
    if (size > limit) {
        snprintf(text, sizeof text, "Received message larger than max (%zu vs. %zu)", size, limit);
        fault = text;
    } else {
        fault = gnomon_message_fault(call, head, &status);
    }
    if (fault) {
        gnomon_bidi_refuse(call, status, fault);
        return 0;
    }
    size += PREFIX_BYTES;
    if (left < size) return 0;
    if (left == size && !own->taken) {
        struct buffer empty = call->body;
        call->body = own->inbox;
        own->inbox = empty;
        return 1;
    }
    if (buffer_append(&call->body, head, size)) {
        call->connection->is_broken = 1;
        return 0;
    }
    own->taken += size;
    if (own->taken > own->inbox.size / 2) {
        left -= size;
        memmove(own->inbox.data, own->inbox.data + own->taken, left);
        own->inbox.size = left;
        own->taken = 0;
        if (!left) buffer_clear(&own->inbox, KEPT_BYTES);
    }
    return 1;
}

static void put(struct call *call) {
    if (gnomon_queue_put(call))
        gnomon_bidi_refuse(call, STATUS_RESOURCE_EXHAUSTED, "too many calls wait; try later");
}

/* Hand the next message to Python, where there is one and Python may have it. */
static void next(struct call *call) {
    struct streaming *own = call->streaming;
    gnomon_bidi_lock(call);
    int is_open = call->state == CALL_RECEIVING && !own->is_claimed;
    int is_choked = own->unsent > UNSENT_BYTES;
    gnomon_bidi_unlock(call);
    if (!is_open || is_choked) return;
    if (take_message(call)) {
        call->connection->completed++;
        put(call);
    } else if (!own->has_ended || gnomon_bidi_is_claimed(call)) {
        open_window(call);
    } else if (own->inbox.size > own->taken) {
        gnomon_bidi_refuse(call, STATUS_INVALID_ARGUMENT, "the request ends within a message");
    } else if (!own->is_end_told) {
        own->is_end_told = 1;
        put(call);
    }
}

void gnomon_bidi_open(struct call *call, int has_ended) {
    call->streaming = calloc(1, sizeof *call->streaming);
    if (!call->streaming) {
        call->connection->is_broken = 1;
        return;
    }
    if (has_ended) gnomon_bidi_no_more(call);
}

void gnomon_bidi_data(struct call *call, const uint8_t *data, size_t size) {
    struct streaming *own = call->streaming;
    struct limits *limits = &call->loop->limits;
    own->unopened += size;
    if (gnomon_bidi_is_claimed(call)) {
        open_window(call);
        return;
    }
    if (buffer_append(&own->inbox, data, size)) {
        call->connection->is_broken = 1;
        return;
    }
    gnomon_call_hold(call, size);
    if (call->connection->held > limits->connection_bytes || call->loop->held > limits->total_bytes)
        gnomon_bidi_refuse(call, STATUS_RESOURCE_EXHAUSTED, TOO_MUCH);
    next(call);
}

void gnomon_bidi_no_more(struct call *call) {
    call->streaming->has_ended = 1;
    next(call);
}

/* Take what Python has sent meanwhile; whether there is any. */
static int has_refill(struct call *call) {
    struct streaming *own = call->streaming;
    gnomon_call_let_go(call, call->response.size);
    buffer_clear(&call->response, KEPT_BYTES);
    call->sent = 0;
    gnomon_bidi_lock(call);
    struct buffer empty = call->response;
    call->response = own->outbox;
    own->outbox = empty;
    own->unsent = call->response.size;
    gnomon_bidi_unlock(call);
    gnomon_call_hold(call, call->response.size);
    return call->response.size > 0;
}

static ssize_t read_sent(h2_session *session, int32_t stream, uint8_t *out, size_t room,
                         uint32_t *flags, h2_source *source, void *user) {
    struct call *call = source->pointer;
    struct streaming *own = call->streaming;
    (void)session, (void)stream, (void)user;
    if (call->sent == call->response.size && !has_refill(call)) {
        /* All is sent: Python may have the next message, and send more. */
        next(call);
        gnomon_bidi_lock(call);
        int is_finished = own->is_finished && !own->outbox.size;
        int has_more = own->outbox.size > 0;
        gnomon_bidi_unlock(call);
        if (is_finished) {
            *flags |= H2_DATA_EOF | H2_DATA_NO_END_STREAM;
            call->is_cut = !own->has_ended;
            return gnomon_submit_end(call) ? H2_STREAM_FAILED : 0;
        }
        if (!has_more || !has_refill(call)) {
            own->is_resting = 1;
            return H2_DEFERRED;
        }
    }
    size_t left = call->response.size - call->sent;
    size_t size = left < room ? left : room;
    memcpy(out, call->response.data + call->sent, size);
    call->sent += size;
    return (ssize_t)size;
}

/* End a call whose answers are more than the process can hold, and forget them. */
static void end_flood(struct call *call) {
    const struct limits *limits = &call->loop->limits;
    struct streaming *own = call->streaming;
    gnomon_bidi_lock(call);
    size_t more = own->outbox.size;
    gnomon_bidi_unlock(call);
    if (call->connection->held + more <= limits->connection_bytes &&
        call->loop->held + more <= limits->total_bytes)
        return;
    gnomon_bidi_refuse(call, STATUS_RESOURCE_EXHAUSTED, TOO_MUCH);
    gnomon_bidi_lock(call);
    buffer_clear(&own->outbox, 0);
    gnomon_bidi_unlock(call);
}

void gnomon_bidi_attend(struct call *call) {
    struct streaming *own = call->streaming;
    gnomon_bidi_lock(call);
    own->has_news = 0;
    if (!call->connection) {
        int is_free = settle(call);
        gnomon_bidi_unlock(call);
        if (is_free) gnomon_call_free(call->loop, call);
        return;
    }
    int has_turn_back = own->gives_turn;
    own->gives_turn = 0;
    if (has_turn_back) call->state = CALL_RECEIVING;
    gnomon_bidi_unlock(call);
    if (has_turn_back) {
        gnomon_call_let_go(call, call->body.size);
        buffer_clear(&call->body, KEPT_BYTES);
    }
    end_flood(call);
    push(call);
    next(call);
}

void gnomon_bidi_end(struct call *call) {
    struct streaming *own = call->streaming;
    buffer_clear(&own->inbox, 0);
    gnomon_bidi_lock(call);
    call->connection = NULL;
    own->is_claimed = 1;
    buffer_clear(&own->outbox, 0);
    int is_free = settle(call);
    gnomon_bidi_unlock(call);
    if (is_free) gnomon_call_free(call->loop, call);
}

int gnomon_bidi_is_arriving(struct call *call) {
    const struct streaming *own = call->streaming;
    gnomon_bidi_lock(call);
    int is_wanted = call->state == CALL_RECEIVING && own->unsent <= UNSENT_BYTES;
    gnomon_bidi_unlock(call);
    return is_wanted && own->inbox.size > own->taken;
}

int gnomon_bidi_is_unread(const struct call *call) {
    return call->response.size > call->sent;
}
