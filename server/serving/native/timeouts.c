#include "timeouts.h"

#include "bidi.h"
#include "call.h"
#include "connection.h"
#include "http2.h"
#include "queue_lock.h"
#include "response.h"

enum {
    CONTROL_PER_SECOND = 4000,
    /* Pings that a client may send between calls: so many at once, and so many a long tick. */
    PINGS_AT_ONCE = 16,
    PINGS_PER_TICK = 1,
};

static uint64_t nanoseconds(double seconds) {
    return (uint64_t)(seconds * 1e9);
}

/* Python's threads change it too. */
static enum call_state state_of(const struct call *call) {
    queue_lock(call->loop->queue);
    enum call_state state = call->state;
    queue_unlock(call->loop->queue);
    return state;
}

/* Whether a connection has outlived one of its limits. */
static int has_expired(struct connection *connection) {
    struct loop *loop = connection->loop;
    uint64_t header = nanoseconds(loop->limits.header_seconds);
    uint64_t idle = nanoseconds(loop->limits.idle_seconds);
    uint64_t now = loop->now;
    if (connection->header_since && now > connection->header_since + header) return 1;
    if (!connection->completed && now > connection->heard + header) return 1;
    if (connection->waits_to_write && now > connection->wrote + header) return 1;
    int is_arriving = 0, is_busy = 0;
    for (struct call *call = connection->calls; call; call = call->newer) {
        if (call->streaming) {
            is_arriving |= gnomon_bidi_is_arriving(call);
            is_busy |= !gnomon_bidi_is_unread(call);
        } else {
            enum call_state state = state_of(call);
            is_arriving |= state == CALL_RECEIVING;
            is_busy |= state != CALL_RECEIVING && state != CALL_ANSWERING;
        }
    }
    if (is_arriving && now > connection->heard + header) return 1;
    return !is_busy && now > connection->heard + idle;
}

/* Refuse the calls with Python whose time is over. */
static int end_late_calls(struct connection *connection) {
    struct loop *loop = connection->loop;
    int ended = 0;
    for (struct call *call = connection->calls, *next; call; call = next) {
        next = call->newer;
        if (!call->deadline || call->deadline > loop->now) continue;
        if (call->streaming) {
            call->deadline = 0;
            gnomon_bidi_refuse(call, STATUS_DEADLINE_EXCEEDED, "Deadline Exceeded");
            ended = 1;
            continue;
        }
        enum call_state state = state_of(call);
        if (state != CALL_WAITING && state != CALL_RUNNING) continue;
        struct connection *owner = call->connection;
        int32_t stream = call->stream;
        /* The stream gets a call of its own to end with; Python keeps the one that it has. */
        struct call *last = gnomon_call_new(owner, stream);
        if (!last) continue;
        gnomon_h2.session_set_stream_user_data(owner->session, stream, last);
        gnomon_http2_end_call(call);
        gnomon_call_refuse(last, STATUS_DEADLINE_EXCEEDED, "Deadline Exceeded", 1);
        ended = 1;
    }
    return ended;
}

/* Ask a connection that says nothing whether anyone is there; whether there is no answer. */
static int is_dead(struct connection *connection, int *has_news) {
    struct loop *loop = connection->loop;
    uint64_t pause = nanoseconds(loop->limits.keepalive_seconds);
    uint64_t patience = nanoseconds(loop->limits.header_seconds);
    if (connection->received >= connection->pinged) connection->pinged = 0;
    if (connection->pinged) return loop->now > connection->pinged + patience;
    if (!pause || connection->is_shaking || loop->now < connection->received + pause) return 0;
    connection->pinged = loop->now;
    gnomon_h2.submit_ping(connection->session, 0, NULL);
    *has_news = 1;
    return 0;
}

/* End a connection that has lived long enough, in two steps; whether there is something to send. */
static int grow_old(struct connection *connection) {
    uint64_t now = connection->loop->now;
    if (!connection->ends || now < connection->ends || connection->is_shaking) return 0;
    if (!connection->is_old) {
        gnomon_h2.submit_shutdown_notice(connection->session);
        connection->ends = now + NOTICE;
    } else {
        int32_t stream = gnomon_h2.session_get_last_proc_stream_id(connection->session);
        gnomon_h2.submit_goaway(connection->session, 0, stream, H2_NO_ERROR, NULL, 0);
        connection->ends = 0;
    }
    connection->is_old = 1;
    return 1;
}

/* Leave a client that sends frames which cost work and ask for none; 1 if it is one. */
static int calm(struct connection *connection, uint64_t span) {
    static const uint8_t why[] = "too_many_pings";
    int is_flood =
        connection->control > CONTROL_PER_SECOND * span / SECOND + CONTROL_PER_SECOND / 4;
    int has_pinged = connection->pings > PINGS_AT_ONCE;
    connection->control = 0;
    connection->pings -= connection->pings < PINGS_PER_TICK ? connection->pings : PINGS_PER_TICK;
    if (has_pinged) {
        /* By this text clients of gRPC know that they are to ping less often. */
        int32_t stream = gnomon_h2.session_get_last_proc_stream_id(connection->session);
        gnomon_h2.submit_goaway(connection->session, 0, stream, H2_ENHANCE_YOUR_CALM, why,
                                sizeof why - 1);
    }
    if (is_flood || has_pinged)
        gnomon_h2.session_terminate_session(connection->session, H2_ENHANCE_YOUR_CALM);
    return is_flood || has_pinged;
}

static int look_at(struct connection *connection, uint64_t span) {
    int has_news = calm(connection, span) | grow_old(connection);
    if (is_dead(connection, &has_news)) {
        connection->is_broken = has_news = 1;
    } else if (has_expired(connection)) {
        /* Who merely had nothing to say is told so. */
        if (connection->calls || !connection->completed) connection->is_broken = 1;
        gnomon_h2.session_terminate_session(connection->session, H2_NO_ERROR);
        has_news = 1;
    }
    return has_news;
}

int gnomon_timeouts_check(struct loop *loop) {
    GNOMON_ASSERT_ON_LOOP(loop);
    uint64_t span = loop->now - loop->ticked;
    int is_long = span >= LONG_TICK;
    if (is_long) loop->ticked = loop->now;
    for (struct connection *one = loop->connections, *next; one; one = next) {
        next = one->next;
        int has_news = end_late_calls(one);
        if (is_long) has_news |= look_at(one, span);
        if (has_news) gnomon_connection_flush(one);
    }
    return is_long;
}
