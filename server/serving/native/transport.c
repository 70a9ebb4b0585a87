/* The loop: epoll, connections, time limits, and the end in two steps. */
#define _GNU_SOURCE
#include "transport.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    EVENTS = 256,
    TICK_MS = 250,
    /* While calls with a deadline wait for Python. */
    SHORT_TICK_MS = 20,
    READS_PER_TURN = 4,
    CONTROL_PER_SECOND = 4000,
    HEADER_FLOOD_BYTES = 1 << 18,
};

static const uint64_t SECOND = 1000000000;
/* Between telling clients to open no more streams, and naming the last one that is served. */
static const uint64_t NOTICE = 100000000;

uint64_t monotonic_nanoseconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * SECOND + (uint64_t)time.tv_nsec;
}

static void watch(struct loop *loop, int operation, int descriptor, uint32_t events, void *what) {
    struct epoll_event event = {.events = events, .data.ptr = what};
    epoll_ctl(loop->epoll, operation, descriptor, &event);
}

static void listen_again(struct loop *loop) {
    if (loop->is_listening || loop->listener < 0) return;
    watch(loop, EPOLL_CTL_ADD, loop->listener, EPOLLIN, &loop->listener);
    loop->is_listening = 1;
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

void loop_join(struct loop *loop, struct loop *other) {
    loop->sibling = other->sibling;
    other->sibling = loop;
}

static void count_load(struct loop *loop, int more) {
    pthread_mutex_lock(&loop->queue->lock);
    loop->load += more;
    pthread_mutex_unlock(&loop->queue->lock);
}

static void connection_close(struct connection *connection) {
    struct loop *loop = connection->loop;
    while (connection->calls) call_end(connection->calls);
    if (connection->session) h2.session_del(connection->session);
    close(connection->socket);
    if (connection->previous) connection->previous->next = connection->next;
    else loop->connections = connection->next;
    if (connection->next) connection->next->previous = connection->previous;
    loop->connection_count--;
    count_load(loop, -1);
    loop->held -= connection->pending.size;
    free(connection->pending.data);
    free(connection);
}

static void connection_open(struct loop *loop, int socket) {
    struct connection *connection = calloc(1, sizeof *connection);
    int yes = 1;
    if (!connection) {
        count_load(loop, -1);
        close(socket);
        return;
    }
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    connection->loop = loop;
    connection->socket = socket;
    connection->heard = connection->wrote = loop->now;
    connection->next = loop->connections;
    if (loop->connections) loop->connections->previous = connection;
    loop->connections = connection;
    loop->connection_count++;
    loop->counts.connections++;
    connection->session = streams_open(connection);
    if (!connection->session) {
        connection_close(connection);
        return;
    }
    watch(loop, EPOLL_CTL_ADD, socket, EPOLLIN, connection);
    connection_flush(connection);
}

/* Choose the loop for a connection, and count it there; NULL where there are too many. */
static struct loop *place(struct loop *loop) {
    struct loop *best = loop;
    int total = 0;
    pthread_mutex_lock(&loop->queue->lock);
    struct loop *one = loop;
    do {
        total += one->load;
        if (one->load < best->load) best = one;
        one = one->sibling;
    } while (one != loop);
    /* What is about to end keeps what comes last to itself. */
    if (loop->state != LOOP_OPEN) best = loop;
    if (total >= loop->limits.connections) best = NULL;
    else best->load++;
    pthread_mutex_unlock(&loop->queue->lock);
    return best;
}

static void hand_over(struct loop *loop, int socket) {
    struct arrival *arrival = malloc(sizeof *arrival);
    if (!arrival) {
        count_load(loop, -1);
        close(socket);
        return;
    }
    arrival->socket = socket;
    pthread_mutex_lock(&loop->queue->lock);
    arrival->next = loop->arrivals;
    loop->arrivals = arrival;
    pthread_mutex_unlock(&loop->queue->lock);
    wake_loop(loop);
}

static struct arrival *take_arrivals(struct loop *loop) {
    pthread_mutex_lock(&loop->queue->lock);
    struct arrival *first = loop->arrivals;
    loop->arrivals = NULL;
    pthread_mutex_unlock(&loop->queue->lock);
    return first;
}

static void open_arrivals(struct loop *loop) {
    for (struct arrival *one = take_arrivals(loop), *next; one; one = next) {
        next = one->next;
        connection_open(loop, one->socket);
        free(one);
    }
}

static void accept_all(struct loop *loop) {
    for (;;) {
        int socket = accept4(loop->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (socket < 0) {
            if (errno == EINTR || errno == ECONNABORTED) continue;
            if (errno != EAGAIN && errno != EWOULDBLOCK) {
                /* Out of descriptors: try again at the next tick, and do not spin until then. */
                watch(loop, EPOLL_CTL_DEL, loop->listener, 0, NULL);
                loop->is_listening = 0;
            }
            return;
        }
        struct loop *owner = place(loop);
        if (!owner) {
            loop->counts.dropped_connections++;
            close(socket);
        } else if (owner == loop) {
            connection_open(loop, socket);
        } else {
            hand_over(owner, socket);
        }
    }
}

static void wait_to_write(struct connection *connection, int waits) {
    if (connection->waits_to_write == waits) return;
    connection->waits_to_write = waits;
    /* Who does not read is not read either: what it sends stays in its own buffers. */
    watch(connection->loop, EPOLL_CTL_MOD, connection->socket, waits ? EPOLLOUT : EPOLLIN,
          connection);
}

/* Write; the number of bytes that the socket took, or -1 where it is broken. */
static ssize_t write_some(struct connection *connection, const uint8_t *data, size_t size) {
    size_t sent = 0;
    while (sent < size) {
        ssize_t count = send(connection->socket, data + sent, size - sent, MSG_NOSIGNAL);
        if (count < 0) {
            if (errno == EINTR) continue;
            if (errno == EAGAIN || errno == EWOULDBLOCK) break;
            return -1;
        }
        sent += (size_t)count;
    }
    if (sent) connection->wrote = connection->loop->now;
    return (ssize_t)sent;
}

/* Write what is left over; 1 where nothing is left, 0 where the socket is full, -1 if broken. */
static int flush_pending(struct connection *connection) {
    struct buffer *pending = &connection->pending;
    if (!pending->size) return 1;
    ssize_t sent = write_some(connection, pending->data + connection->pending_sent,
                              pending->size - connection->pending_sent);
    if (sent < 0) return -1;
    connection->pending_sent += (size_t)sent;
    if (connection->pending_sent < pending->size) return 0;
    connection->loop->held -= pending->size;
    buffer_clear(pending, KEPT_BYTES);
    connection->pending_sent = 0;
    return 1;
}

/* Gather frames; how many bytes, or -1 where the session is broken. */
static ssize_t gather(struct connection *connection) {
    uint8_t *out = connection->loop->write_buffer;
    size_t size = 0;
    while (size < READ_BYTES) {
        const uint8_t *data;
        ssize_t count = h2.session_mem_send(connection->session, &data);
        if (count < 0 || count > FRAME_BYTES + READ_BYTES - (ssize_t)size) return -1;
        if (!count) break;
        memcpy(out + size, data, (size_t)count);
        size += (size_t)count;
    }
    return (ssize_t)size;
}

/* Send all that can be sent, and close the connection if it has ended. */
void connection_flush(struct connection *connection) {
    struct loop *loop = connection->loop;
    while (!connection->is_broken) {
        int left = flush_pending(connection);
        if (left == 0) {
            wait_to_write(connection, 1);
            return;
        }
        ssize_t size = left < 0 ? -1 : gather(connection);
        if (size == 0) break;
        ssize_t sent = size < 0 ? -1 : write_some(connection, loop->write_buffer, (size_t)size);
        if (sent < 0 || buffer_append(&connection->pending, loop->write_buffer + sent,
                                      (size_t)(size - sent))) {
            connection->is_broken = 1;
        } else {
            loop->held += (size_t)(size - sent);
        }
    }
    if (connection->is_broken || (!h2.session_want_read(connection->session) &&
                                  !h2.session_want_write(connection->session))) {
        connection_close(connection);
        return;
    }
    wait_to_write(connection, 0);
}

static void connection_read(struct connection *connection) {
    struct loop *loop = connection->loop;
    for (int turn = 0; turn < READS_PER_TURN && !connection->is_broken; turn++) {
        ssize_t size = recv(connection->socket, loop->read_buffer, READ_BYTES, 0);
        if (size < 0 && errno == EINTR) continue;
        if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
        if (size <= 0 ||
            h2.session_mem_recv(connection->session, loop->read_buffer, (size_t)size) != size) {
            connection->is_broken = 1;
            break;
        }
        if (connection->header_since && (connection->header_bytes += (uint64_t)size) >
                                            HEADER_FLOOD_BYTES)
            connection->is_broken = 1;
        if (size < READ_BYTES) break;
    }
    connection_flush(connection);
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

static void stop_listening(struct loop *loop) {
    if (loop->listener < 0) return;
    /* Who has connected already is answered. */
    accept_all(loop);
    if (loop->is_listening) watch(loop, EPOLL_CTL_DEL, loop->listener, 0, NULL);
    loop->is_listening = 0;
    close(loop->listener);
    loop->listener = -1;
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
        int count = epoll_wait(loop->epoll, events, EVENTS, is_short ? SHORT_TICK_MS : TICK_MS);
        int has_answers = 0;
        uint64_t before = loop->now;
        loop->now = monotonic_nanoseconds();
        for (int index = 0; index < count; index++) {
            void *what = events[index].data.ptr;
            if (what == &loop->listener) {
                accept_all(loop);
            } else if (what == &loop->wake) {
                has_answers = 1;
            } else if (events[index].events & EPOLLOUT) {
                connection_flush(what);
            } else {
                connection_read(what);
            }
        }
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
    for (struct arrival *one = take_arrivals(loop), *next; one; one = next) {
        next = one->next;
        close(one->socket);
        free(one);
    }
    for (struct call *call = loop->done, *next; call; call = next) {
        next = call->next;
        call_free(loop, call);
    }
    take_news(loop);
    for (struct call *call = loop->pool, *next; call; call = next) {
        next = call->next;
        free(call->body.data);
        free(call->response.data);
        free(call);
    }
    if (loop->listener >= 0) close(loop->listener);
    if (loop->callbacks) h2.session_callbacks_del(loop->callbacks);
    if (loop->option) h2.option_del(loop->option);
    if (loop->epoll >= 0) close(loop->epoll);
    if (loop->wake >= 0) close(loop->wake);
    free(loop);
}
