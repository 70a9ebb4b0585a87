/* The loop: epoll, time limits, and the end in two steps. */
#include "event_loop.h"

#include "accept.h"
#include "bidi.h"
#include "call.h"
#include "call_queue.h"
#include "clock.h"
#include "connection.h"
#include "handover.h"
#include "http2.h"
#include "poller.h"
#include "queue_lock.h"
#include "timeouts.h"
#include "unary.h"

#include <unistd.h>

enum {
    EVENTS = 256,
    TICK_MS = 250,
    /* While calls with a deadline wait for Python. */
    SHORT_TICK_MS = 20,
};

struct loop *gnomon_loop_new(int listener, const struct limits *limits, struct queue *queue,
                             const char *streaming, answer_function answer, void *context) {
    struct loop *loop = calloc(1, sizeof *loop);
    if (!loop) return NULL;
    loop->queue = queue;
    loop->sibling = loop;
    loop->streaming = streaming;
    loop->limits = *limits;
    loop->listener = listener;
    loop->answer = answer;
    loop->context = context;
    loop->now = loop->ticked = gnomon_monotonic_nanoseconds();
    loop->random = loop->now | 1;
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    loop->wake = -1;
    if (loop->epoll < 0 || gnomon_handover_open(loop) || gnomon_http2_prepare(loop)) {
        gnomon_loop_free(loop);
        return NULL;
    }
    gnomon_listen_again(loop);
    return loop;
}

/* Sending one's answer may end the connection of the next, which then has none any more. */
static void submit_done(struct loop *loop, struct call *first) {
    for (struct call *call = first, *next; call; call = next) {
        struct connection *connection = call->connection;
        next = call->next;
        call->next = NULL;
        if (!connection) {
            gnomon_call_free(loop, call);
        } else {
            gnomon_unary_submit(call);
            gnomon_connection_flush(connection);
        }
    }
}

static void attend_news(struct call *first) {
    for (struct call *call = first, *next; call; call = next) {
        struct connection *connection = call->connection;
        /* From when it is attended to on, it may be among the news again. */
        next = call->streaming->next_news;
        gnomon_bidi_attend(call);
        if (connection) gnomon_connection_flush(connection);
    }
}

static void change_state(struct loop *loop, enum loop_state state) {
    loop->state = state;
    loop->state_since = loop->now;
    if (state == LOOP_NOTICED) gnomon_stop_listening(loop);
    for (struct connection *one = loop->connections, *next; one; one = next) {
        next = one->next;
        if (state == LOOP_NOTICED) {
            gnomon_h2.submit_shutdown_notice(one->session);
        } else if (state == LOOP_CLOSING) {
            int32_t stream = gnomon_h2.session_get_last_proc_stream_id(one->session);
            gnomon_h2.submit_goaway(one->session, 0, stream, H2_NO_ERROR, NULL, 0);
        } else {
            one->is_broken = 1;
        }
        gnomon_connection_flush(one);
    }
}

/* Take the next step towards the end, if it is time for one. */
static void step(struct loop *loop) {
    uint64_t since = loop->now - loop->state_since;
    if (loop->state == LOOP_NOTICED && since >= (loop->grace < NOTICE ? loop->grace : NOTICE))
        change_state(loop, LOOP_CLOSING);
    if (loop->state == LOOP_CLOSING && (!loop->connections || since >= loop->grace))
        change_state(loop, LOOP_ENDED);
}

/* Look at what other threads have handed over. */
static void receive(struct loop *loop) {
    struct handed handed = gnomon_handover_take(loop);
    gnomon_open_arrivals(loop, handed.arrivals);
    submit_done(loop, handed.done);
    attend_news(handed.news);
    if (handed.drain_asked && loop->state == LOOP_OPEN) {
        loop->grace = handed.grace;
        change_state(loop, LOOP_NOTICED);
    }
}

static void check_time(struct loop *loop) {
    /* A listener that is not watched ran out of descriptors; perhaps there are some now. */
    if (gnomon_timeouts_check(loop) && loop->state == LOOP_OPEN) gnomon_listen_again(loop);
}

static int is_waiting(struct loop *loop) {
    queue_lock(loop->queue);
    int count = loop->queue->waiting + loop->queue->running;
    queue_unlock(loop->queue);
    return count > 0;
}

void gnomon_loop_run(struct loop *loop) {
    struct epoll_event events[EVENTS];
#ifdef GNOMON_DEBUG
    loop->thread = pthread_self();
    loop->is_running = 1;
#endif
    while (loop->state != LOOP_ENDED) {
        int is_short = loop->state != LOOP_OPEN || is_waiting(loop);
        int pause = loop->has_unread ? 0 : is_short ? SHORT_TICK_MS : TICK_MS;
        int count = epoll_wait(loop->epoll, events, EVENTS, pause);
        int is_signalled = 0;
        uint64_t before = loop->now;
        loop->now = gnomon_monotonic_nanoseconds();
        for (int index = 0; index < count; index++) {
            void *what = events[index].data.ptr;
            if (what == &loop->listener) {
                gnomon_accept_all(loop);
            } else if (what == &loop->wake) {
                is_signalled = 1;
            } else {
                gnomon_connection_attend(what, (events[index].events & EPOLLOUT) != 0);
            }
        }
        if (loop->has_unread) gnomon_connections_read_left(loop);
        if (is_signalled) receive(loop);
        if (loop->state != LOOP_OPEN) step(loop);
        if (loop->now - loop->ticked >= LONG_TICK ||
            (is_short && loop->now - before >= SHORT_TICK_MS * (SECOND / 2000)))
            check_time(loop);
    }
#ifdef GNOMON_DEBUG
    loop->is_running = 0;
#endif
    gnomon_queue_leave(loop->queue);
}

void gnomon_loop_drain(struct loop *loop, uint64_t grace_nanoseconds) {
    queue_lock(loop->queue);
    loop->handed.drain_asked = 1;
    loop->handed.grace = grace_nanoseconds;
    queue_unlock(loop->queue);
    gnomon_handover_signal(loop);
}

void gnomon_loop_free(struct loop *loop) {
    while (loop->connections) gnomon_connection_close(loop->connections);
    struct handed handed = gnomon_handover_take(loop);
    gnomon_drop_arrivals(handed.arrivals);
    submit_done(loop, handed.done);
    attend_news(handed.news);
    for (struct call *call = loop->pool, *next; call; call = next) {
        next = call->next;
        gnomon_call_release(call);
    }
    if (loop->tls) gnomon_tls_context_free(loop->tls);
    if (loop->listener >= 0) close(loop->listener);
    if (loop->callbacks) gnomon_h2.session_callbacks_del(loop->callbacks);
    if (loop->option) gnomon_h2.option_del(loop->option);
    if (loop->epoll >= 0) close(loop->epoll);
    if (loop->wake >= 0) close(loop->wake);
    free(loop);
}
