/* Calls of many messages each way. Python is shown one message at a time, and none while what it
 * has sent before waits for the client; so neither side can fill this process with bytes. */
#include "bidi.h"

#include "bidi_inbox.h"
#include "bidi_state.h"
#include "call.h"
#include "call_queue.h"
#include "queue_lock.h"
#include "response.h"

#include <stdio.h>

enum { UNSENT_BYTES = 1 << 18 };

static const char TOO_MUCH[] = "too many bytes are under way; try later";

/* With the lock held, and its stream ended: whether nobody knows it any more. */
static int settle(struct call *call) {
    struct streaming *own = call->streaming;
    if (gnomon_bidi_is_owned(call)) {
        if (own->turn == TURN_RETURNED) gnomon_bidi_set_turn(call, TURN_IDLE);
        /* Its owner learns of the end from the queue. */
        if (own->turn == TURN_IDLE && call->state != CALL_WAITING)
            gnomon_queue_append(call->loop->queue, call);
        return 0;
    }
    gnomon_queue_withdraw(call);
    return !own->has_news;
}

static ssize_t read_sent(h2_session *session, int32_t stream, uint8_t *out, size_t room,
                         uint32_t *flags, h2_source *source, void *user);

/* Let nghttp2 know that there is something to send, or the end. */
static void push(struct call *call) {
    struct streaming *own = call->streaming;
    struct connection *connection = call->connection;
    h2_provider provider = {{.pointer = call}, read_sent};
    queue_lock(call->loop->queue);
    int has_bytes = own->outbox.size > 0;
    int is_finished = own->ending == ENDING_READY;
    queue_unlock(call->loop->queue);
    if (!has_bytes && !is_finished) return;
    if (own->response == RESPONSE_UNSENT) {
        gnomon_bidi_set_response(call, RESPONSE_SENDING);
        if (has_bytes) gnomon_submit_response(call, &provider);
        else gnomon_submit_trailers(call, own->request != REQUEST_OPEN);
    } else if (own->response == RESPONSE_RESTING) {
        gnomon_bidi_set_response(call, RESPONSE_SENDING);
        if (gnomon_h2.session_resume_data(connection->session, call->stream))
            connection->is_broken = 1;
    }
}

void gnomon_bidi_refuse(struct call *call, enum status status, const char *message) {
    GNOMON_ASSERT_ON_LOOP(call->loop);
    char number[4];
    int size = snprintf(number, sizeof number, "%d", status);
    if (!gnomon_bidi_claim(call)) return;
    gnomon_call_add_trailer(call, "grpc-status", 11, number, (size_t)size);
    gnomon_call_add_trailer(call, "grpc-message", 12, message, strlen(message));
    queue_lock(call->loop->queue);
    gnomon_bidi_set_ending(call, ENDING_READY);
    if (!gnomon_bidi_is_owned(call)) gnomon_queue_withdraw(call);
    queue_unlock(call->loop->queue);
    gnomon_inbox_forget(call);
    push(call);
}

static void put(struct call *call) {
    if (gnomon_queue_put(call))
        gnomon_bidi_refuse(call, STATUS_RESOURCE_EXHAUSTED, "too many calls wait; try later");
}

/* Hand the next message to Python, if there is one and Python may have it. */
static void next(struct call *call) {
    struct streaming *own = call->streaming;
    queue_lock(call->loop->queue);
    int is_open = call->state == CALL_RECEIVING && own->ending == ENDING_OPEN;
    int is_choked = own->unsent > UNSENT_BYTES;
    queue_unlock(call->loop->queue);
    if (!is_open || is_choked) return;
    enum status status;
    char fault[INBOX_FAULT_BYTES];
    int taken = gnomon_inbox_take(call, &status, fault);
    if (taken > 0) {
        call->connection->completed++;
        put(call);
    } else if (taken < 0) {
        gnomon_bidi_refuse(call, status, fault);
        gnomon_inbox_open_window(call);
    } else if (own->request == REQUEST_OPEN || gnomon_bidi_is_claimed(call)) {
        gnomon_inbox_open_window(call);
    } else if (own->inbox.size > own->taken) {
        gnomon_bidi_refuse(call, STATUS_INVALID_ARGUMENT, "the request ends within a message");
    } else if (own->request == REQUEST_ENDED) {
        gnomon_bidi_set_request(call, REQUEST_END_TOLD);
        put(call);
    }
}

void gnomon_bidi_open(struct call *call, int has_ended) {
    GNOMON_ASSERT_ON_LOOP(call->loop);
    call->streaming = calloc(1, sizeof *call->streaming);
    if (!call->streaming) {
        call->connection->is_broken = 1;
        return;
    }
    if (has_ended) gnomon_bidi_no_more(call);
}

void gnomon_bidi_data(struct call *call, const uint8_t *data, size_t size) {
    GNOMON_ASSERT_ON_LOOP(call->loop);
    struct streaming *own = call->streaming;
    struct limits *limits = &call->loop->limits;
    own->unopened += size;
    if (gnomon_bidi_is_claimed(call)) {
        gnomon_inbox_open_window(call);
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
    GNOMON_ASSERT_ON_LOOP(call->loop);
    gnomon_bidi_set_request(call, REQUEST_ENDED);
    next(call);
}

/* Take what Python has sent meanwhile; whether there is any. */
static int has_refill(struct call *call) {
    struct streaming *own = call->streaming;
    gnomon_call_let_go(call, call->response.size);
    buffer_clear(&call->response, KEPT_BYTES);
    call->sent = 0;
    queue_lock(call->loop->queue);
    struct buffer empty = call->response;
    call->response = own->outbox;
    own->outbox = empty;
    own->unsent = call->response.size;
    queue_unlock(call->loop->queue);
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
        queue_lock(call->loop->queue);
        int is_finished = own->ending == ENDING_READY && !own->outbox.size;
        int has_more = own->outbox.size > 0;
        queue_unlock(call->loop->queue);
        if (is_finished) {
            *flags |= H2_DATA_EOF | H2_DATA_NO_END_STREAM;
            call->is_cut = own->request == REQUEST_OPEN;
            return gnomon_submit_end(call) ? H2_STREAM_FAILED : 0;
        }
        if (!has_more || !has_refill(call)) {
            gnomon_bidi_set_response(call, RESPONSE_RESTING);
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
    queue_lock(call->loop->queue);
    size_t more = own->outbox.size;
    queue_unlock(call->loop->queue);
    if (call->connection->held + more <= limits->connection_bytes &&
        call->loop->held + more <= limits->total_bytes)
        return;
    gnomon_bidi_refuse(call, STATUS_RESOURCE_EXHAUSTED, TOO_MUCH);
    queue_lock(call->loop->queue);
    buffer_clear(&own->outbox, 0);
    queue_unlock(call->loop->queue);
}

void gnomon_bidi_attend(struct call *call) {
    GNOMON_ASSERT_ON_LOOP(call->loop);
    struct streaming *own = call->streaming;
    queue_lock(call->loop->queue);
    own->has_news = 0;
    if (!call->connection) {
        int is_free = settle(call);
        queue_unlock(call->loop->queue);
        if (is_free) gnomon_call_free(call->loop, call);
        return;
    }
    int has_turn_back = own->turn == TURN_RETURNED || own->turn == TURN_LEFT;
    if (has_turn_back) {
        gnomon_bidi_set_turn(call, own->turn == TURN_LEFT ? TURN_GONE : TURN_IDLE);
        call->state = CALL_RECEIVING;
    }
    queue_unlock(call->loop->queue);
    if (has_turn_back) {
        gnomon_call_let_go(call, call->body.size);
        buffer_clear(&call->body, KEPT_BYTES);
    }
    end_flood(call);
    push(call);
    next(call);
}

void gnomon_bidi_end(struct call *call) {
    GNOMON_ASSERT_ON_LOOP(call->loop);
    struct streaming *own = call->streaming;
    buffer_clear(&own->inbox, 0);
    queue_lock(call->loop->queue);
    call->connection = NULL;
    if (own->ending == ENDING_OPEN) gnomon_bidi_set_ending(call, ENDING_CLAIMED);
    buffer_clear(&own->outbox, 0);
    int is_free = settle(call);
    queue_unlock(call->loop->queue);
    if (is_free) gnomon_call_free(call->loop, call);
}

int gnomon_bidi_is_arriving(struct call *call) {
    GNOMON_ASSERT_ON_LOOP(call->loop);
    const struct streaming *own = call->streaming;
    queue_lock(call->loop->queue);
    int is_wanted = call->state == CALL_RECEIVING && own->unsent <= UNSENT_BYTES;
    queue_unlock(call->loop->queue);
    return is_wanted && own->inbox.size > own->taken;
}

int gnomon_bidi_is_unread(const struct call *call) {
    return call->response.size > call->sent;
}
