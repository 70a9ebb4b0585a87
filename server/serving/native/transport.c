/* The loop: epoll, time limits, and the end in two steps. */
#include "transport.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum {
    EVENTS = 256,
    TICK_MS = 250,
    /* While calls with a deadline wait for Python. */
    SHORT_TICK_MS = 20,
    CONTROL_PER_SECOND = 4000,
};

static const uint64_t SECOND = 1000000000;
/* Between telling clients to open no more streams, and naming the last one that is served. */
static const uint64_t NOTICE = 100000000;

uint64_t monotonic_nanoseconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * SECOND + (uint64_t)time.tv_nsec;
}

struct loop *loop_new(int listener, const struct limits *limits, struct queue *queue,
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
    loop->now = loop->ticked = monotonic_nanoseconds();
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    loop->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->epoll < 0 || loop->wake < 0 || streams_prepare(loop)) {
        loop_free(loop);
        return NULL;
    }
    watch(loop, EPOLL_CTL_ADD, loop->wake, EPOLLIN, &loop->wake);
    listen_again(loop);
    return loop;
}

static void take_done(struct loop *loop) {
    uint64_t count;
    ssize_t read_bytes = read(loop->wake, &count, sizeof count);
    (void)read_bytes;
    pthread_mutex_lock(&loop->queue->lock);
    struct call *call = loop->done;
    loop->done = NULL;
    pthread_mutex_unlock(&loop->queue->lock);
    while (call) {
        struct call *next = call->next;
        struct connection *connection = call->connection;
        call->next = NULL;
        if (!connection) {
            call_free(loop, call);
        } else {
            call_submit(call);
            connection_flush(connection);
        }
        call = next;
    }
}

/* One at a time: sending one's answer may end the connection of another. */
static void take_news(struct loop *loop) {
    for (;;) {
        pthread_mutex_lock(&loop->queue->lock);
        struct call *call = loop->news;
        if (call) {
            loop->news = call->streaming->next_news;
            call->streaming->has_news = 0;
        }
        pthread_mutex_unlock(&loop->queue->lock);
        if (!call) return;
        struct connection *connection = call->connection;
        streaming_attend(call);
        if (connection) connection_flush(connection);
    }
}

static uint64_t nanoseconds(double seconds) {
    return (uint64_t)(seconds * 1e9);
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
            is_arriving |= streaming_is_arriving(call);
            is_busy |= !streaming_is_unread(call);
        } else {
            is_arriving |= call->state == CALL_RECEIVING;
            is_busy |= call->state != CALL_RECEIVING && call->state != CALL_ANSWERING;
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
            streaming_refuse(call, STATUS_DEADLINE_EXCEEDED, "Deadline Exceeded");
            ended = 1;
            continue;
        }
        if (call->state != CALL_WAITING && call->state != CALL_RUNNING) continue;
        struct connection *owner = call->connection;
        int32_t stream = call->stream;
        /* The stream gets a call of its own to end with; Python keeps the one that it has. */
        struct call *last = call_new(owner, stream);
        if (!last) continue;
        h2.session_set_stream_user_data(owner->session, stream, last);
        call_end(call);
        call_refuse(last, STATUS_DEADLINE_EXCEEDED, "Deadline Exceeded");
        ended = 1;
    }
    return ended;
}

static void tick(struct loop *loop) {
    int is_long = loop->now - loop->ticked >= TICK_MS * (SECOND / 1000);
    uint64_t span = loop->now - loop->ticked;
    if (is_long) loop->ticked = loop->now;
    if (is_long && loop->state == LOOP_OPEN) listen_again(loop);
    for (struct connection *one = loop->connections, *next; one; one = next) {
        next = one->next;
        int has_news = end_late_calls(one);
        if (is_long) {
            if (has_expired(one)) {
                /* Who merely had nothing to say is told so. */
                if (one->calls || !one->completed) one->is_broken = 1;
                h2.session_terminate_session(one->session, H2_NO_ERROR);
                has_news = 1;
            }
            if (one->control > CONTROL_PER_SECOND * span / SECOND + CONTROL_PER_SECOND / 4) {
                h2.session_terminate_session(one->session, H2_ENHANCE_YOUR_CALM);
                has_news = 1;
            }
            one->control = 0;
        }
        if (has_news) connection_flush(one);
    }
}

static void change_state(struct loop *loop, enum loop_state state) {
    loop->state = state;
    loop->state_since = loop->now;
    if (state == LOOP_NOTICED) {
        stop_listening(loop);
        open_arrivals(loop);
    }
    for (struct connection *one = loop->connections, *next; one; one = next) {
        next = one->next;
        if (state == LOOP_NOTICED) {
            h2.submit_shutdown_notice(one->session);
        } else if (state == LOOP_CLOSING) {
            int32_t stream = h2.session_get_last_proc_stream_id(one->session);
            h2.submit_goaway(one->session, 0, stream, H2_NO_ERROR, NULL, 0);
        } else {
            one->is_broken = 1;
        }
        connection_flush(one);
    }
}

/* Take the next step towards the end, if it is time for one. */
static void step(struct loop *loop) {
    if (loop->state == LOOP_OPEN) {
        pthread_mutex_lock(&loop->queue->lock);
        int asked = loop->drain_asked;
        loop->grace = loop->drain_grace;
        pthread_mutex_unlock(&loop->queue->lock);
        if (asked) change_state(loop, LOOP_NOTICED);
        return;
    }
    uint64_t since = loop->now - loop->state_since;
    if (loop->state == LOOP_NOTICED && since >= (loop->grace < NOTICE ? loop->grace : NOTICE))
        change_state(loop, LOOP_CLOSING);
    if (loop->state == LOOP_CLOSING && (!loop->connections || since >= loop->grace))
        change_state(loop, LOOP_ENDED);
}

static int is_waiting(struct loop *loop) {
    pthread_mutex_lock(&loop->queue->lock);
    int count = loop->queue->waiting + loop->queue->running;
    pthread_mutex_unlock(&loop->queue->lock);
    return count > 0;
}

void loop_run(struct loop *loop) {
    struct epoll_event events[EVENTS];
    while (loop->state != LOOP_ENDED) {
        int is_short = loop->state != LOOP_OPEN || is_waiting(loop);
        int pause = loop->has_unread ? 0 : is_short ? SHORT_TICK_MS : TICK_MS;
        int count = epoll_wait(loop->epoll, events, EVENTS, pause);
        int has_answers = 0;
        uint64_t before = loop->now;
        loop->now = monotonic_nanoseconds();
        for (int index = 0; index < count; index++) {
            void *what = events[index].data.ptr;
            if (what == &loop->listener) {
                accept_all(loop);
            } else if (what == &loop->wake) {
                has_answers = 1;
            } else {
                connection_attend(what, (events[index].events & EPOLLOUT) != 0);
            }
        }
        if (loop->has_unread) read_left(loop);
        if (has_answers) {
            open_arrivals(loop);
            take_done(loop);
            take_news(loop);
        }
        if (has_answers || loop->state != LOOP_OPEN) step(loop);
        if (loop->now - loop->ticked >= TICK_MS * (SECOND / 1000) ||
            (is_short && loop->now - before >= SHORT_TICK_MS * (SECOND / 2000)))
            tick(loop);
    }
    queue_leave(loop->queue);
}

void loop_drain(struct loop *loop, uint64_t grace_nanoseconds) {
    pthread_mutex_lock(&loop->queue->lock);
    loop->drain_asked = 1;
    loop->drain_grace = grace_nanoseconds;
    pthread_mutex_unlock(&loop->queue->lock);
    wake_loop(loop);
}

void loop_free(struct loop *loop) {
    while (loop->connections) connection_close(loop->connections);
    drop_arrivals(loop);
    for (struct call *call = loop->done, *next; call; call = next) {
        next = call->next;
        call_free(loop, call);
    }
    take_news(loop);
    for (struct call *call = loop->pool, *next; call; call = next) {
        next = call->next;
        call_release(call);
    }
    if (loop->tls) tls_context_free(loop->tls);
    if (loop->listener >= 0) close(loop->listener);
    if (loop->callbacks) h2.session_callbacks_del(loop->callbacks);
    if (loop->option) h2.option_del(loop->option);
    if (loop->epoll >= 0) close(loop->epoll);
    if (loop->wake >= 0) close(loop->wake);
    free(loop);
}
