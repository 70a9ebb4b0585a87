#define _GNU_SOURCE
#include "connection.h"

#include "frame_scan.h"
#include "http2.h"
#include "poller.h"
#include "queue_lock.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READS_PER_TURN = 4, TLS_READS_PER_TURN = 64, HEADER_FLOOD_BYTES = 1 << 18 };

static void leave_load(struct loop *loop) {
    queue_lock(loop->queue);
    loop->load--;
    queue_unlock(loop->queue);
}

void gnomon_connection_close(struct connection *connection) {
    GNOMON_ASSERT_ON_LOOP(connection->loop);
    struct loop *loop = connection->loop;
    while (connection->calls) gnomon_http2_end_call(connection->calls);
    if (connection->session) gnomon_h2.session_del(connection->session);
    if (connection->tls)
        gnomon_tls_close(connection->tls, connection->is_broken || connection->is_shaking);
    /* Closing does not end the watch while a child of this process, which is about to start a
     * program, holds the socket too: epoll would name a connection that is no more. */
    poller_watch(loop, EPOLL_CTL_DEL, connection->socket, 0, NULL);
    close(connection->socket);
    if (connection->previous) connection->previous->next = connection->next;
    else loop->connections = connection->next;
    if (connection->next) connection->next->previous = connection->previous;
    loop->connection_count--;
    leave_load(loop);
    loop->held -= connection->pending.size;
    free(connection->pending.data);
    free(connection->peer.data);
    free(connection);
}

void gnomon_loop_use_tls(struct loop *loop, tls_context *context) {
    queue_lock(loop->queue);
    tls_context *old = loop->tls;
    loop->tls = context;
    queue_unlock(loop->queue);
    if (old) gnomon_tls_context_free(old);
}

/* Begin with TLS, if the loop has it; 0, or -1 if there is no memory. */
static int begin_tls(struct connection *connection) {
    struct loop *loop = connection->loop;
    queue_lock(loop->queue);
    connection->is_shaking = loop->tls != NULL;
    if (loop->tls) connection->tls = gnomon_tls_open(loop->tls, connection->socket);
    queue_unlock(loop->queue);
    return connection->is_shaking && !connection->tls ? -1 : 0;
}

static void set_age(struct connection *connection) {
    struct loop *loop = connection->loop;
    uint64_t age = (uint64_t)(loop->limits.connection_age_seconds * 1e9);
    /* Those that came together do not all leave together: a tenth more or less, by xorshift. */
    loop->random ^= loop->random << 13;
    loop->random ^= loop->random >> 7;
    loop->random ^= loop->random << 17;
    if (age) connection->ends = loop->now + age - age / 10 + loop->random % (age / 5 + 1);
}

void gnomon_connection_open(struct loop *loop, int socket) {
    GNOMON_ASSERT_ON_LOOP(loop);
    struct connection *connection = calloc(1, sizeof *connection);
    int yes = 1;
    if (!connection) {
        leave_load(loop);
        close(socket);
        return;
    }
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    connection->loop = loop;
    connection->socket = socket;
    gnomon_frames_begin(connection);
    connection->heard = connection->wrote = connection->received = loop->now;
    set_age(connection);
    connection->next = loop->connections;
    if (loop->connections) loop->connections->previous = connection;
    loop->connections = connection;
    loop->connection_count++;
    loop->counts.connections++;
    connection->session = gnomon_http2_open(connection);
    if (!connection->session || begin_tls(connection)) {
        gnomon_connection_close(connection);
        return;
    }
    poller_watch(loop, EPOLL_CTL_ADD, socket, EPOLLIN, connection);
    gnomon_connection_flush(connection);
}

/* What TLS has read ahead is no news to epoll. */
static void read_on(struct connection *connection) {
    connection->is_unread = connection->loop->has_unread = 1;
}

static void wait_to_write(struct connection *connection, int waits) {
    if (connection->waits_to_write == waits) return;
    connection->waits_to_write = waits;
    if (!waits && connection->tls && gnomon_tls_has_unread(connection->tls)) read_on(connection);
    /* Who does not read is not read either: what it sends stays in its own buffers. */
    poller_watch(connection->loop, EPOLL_CTL_MOD, connection->socket, waits ? EPOLLOUT : EPOLLIN,
                 connection);
}

/* Write; the number of bytes that the socket took, or -1 if it is broken. */
static ssize_t write_some(struct connection *connection, const uint8_t *data, size_t size) {
    size_t sent = 0;
    while (sent < size) {
        ssize_t count = connection->tls
                            ? gnomon_tls_write(connection->tls, data + sent, size - sent)
                            : send(connection->socket, data + sent, size - sent, MSG_NOSIGNAL);
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

/* Write what is left over; 1 if nothing is left, 0 if the socket is full, -1 if it is broken. */
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

/* Gather frames; how many bytes, or -1 if the session is broken. */
static ssize_t gather(struct connection *connection) {
    uint8_t *out = connection->loop->write_buffer;
    size_t size = 0;
    while (size < READ_BYTES) {
        const uint8_t *data;
        ssize_t count = gnomon_h2.session_mem_send(connection->session, &data);
        if (count < 0 || count > FRAME_BYTES + READ_BYTES - (ssize_t)size) return -1;
        if (!count) break;
        memcpy(out + size, data, (size_t)count);
        size += (size_t)count;
    }
    return (ssize_t)size;
}

void gnomon_connection_flush(struct connection *connection) {
    GNOMON_ASSERT_ON_LOOP(connection->loop);
    struct loop *loop = connection->loop;
    if (connection->is_shaking && !connection->is_broken) return;
    while (!connection->is_broken) {
        int left = flush_pending(connection);
        if (left == 0) {
            wait_to_write(connection, 1);
            return;
        }
        ssize_t size = left < 0 ? -1 : gather(connection);
        if (size == 0) break;
        ssize_t sent = size < 0 ? -1 : write_some(connection, loop->write_buffer, (size_t)size);
        if (sent < 0 ||
            buffer_append(&connection->pending, loop->write_buffer + sent, (size_t)(size - sent))) {
            connection->is_broken = 1;
        } else {
            loop->held += (size_t)(size - sent);
        }
    }
    if (connection->is_broken || (!gnomon_h2.session_want_read(connection->session) &&
                                  !gnomon_h2.session_want_write(connection->session))) {
        gnomon_connection_close(connection);
        return;
    }
    wait_to_write(connection, 0);
}

/* Whether there may be more to read now; it was the turn's read of that number. */
static int has_more(struct connection *connection, ssize_t size, int turn) {
    if (!connection->tls) return size == READ_BYTES && turn < READS_PER_TURN;
    if (!gnomon_tls_has_unread(connection->tls)) return 0;
    if (turn < TLS_READS_PER_TURN) return 1;
    read_on(connection);
    return 0;
}

static void connection_read(struct connection *connection) {
    struct loop *loop = connection->loop;
    ssize_t size;
    int turn = 0;
    do {
        size = connection->tls ? gnomon_tls_read(connection->tls, loop->read_buffer, READ_BYTES)
                               : recv(connection->socket, loop->read_buffer, READ_BYTES, 0);
        if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) break;
        if (size > 0) {
            connection->received = loop->now;
            gnomon_frames_scan(connection, loop->read_buffer, (size_t)size);
        }
        if (size <= 0 ||
            gnomon_h2.session_mem_recv(connection->session, loop->read_buffer, (size_t)size) !=
                size ||
            gnomon_frames_answer(connection)) {
            connection->is_broken = 1;
            break;
        }
        if (connection->header_since &&
            (connection->header_bytes += (uint64_t)size) > HEADER_FLOOD_BYTES)
            connection->is_broken = 1;
    } while (!connection->is_broken && has_more(connection, size, ++turn));
    gnomon_connection_flush(connection);
}

/* Who merely left, such as a probe of the port, is no fault. */
static void note_fault(struct connection *connection) {
    const char *fault = gnomon_tls_fault(connection->tls);
    if (!fault) return;
    connection->loop->tls_fault = fault;
    connection->loop->counts.failed_handshakes++;
}

/* Go on with the handshake; whether it is done. */
static int shake(struct connection *connection) {
    enum tls_progress progress = gnomon_tls_shake(connection->tls);
    if (progress == TLS_DONE && !gnomon_tls_peer_name(connection->tls, &connection->peer)) {
        connection->is_shaking = 0;
        wait_to_write(connection, 0);
        return 1;
    }
    connection->is_broken = progress == TLS_BROKEN || progress == TLS_DONE;
    if (progress == TLS_BROKEN) note_fault(connection);
    if (connection->is_broken) gnomon_connection_flush(connection);
    else wait_to_write(connection, progress == TLS_WAITS_TO_WRITE);
    return 0;
}

void gnomon_connection_attend(struct connection *connection, int is_writable) {
    GNOMON_ASSERT_ON_LOOP(connection->loop);
    int was_shaking = connection->is_shaking;
    if (was_shaking && !shake(connection)) return;
    if (is_writable && !was_shaking) gnomon_connection_flush(connection);
    else connection_read(connection);
}

void gnomon_connections_read_left(struct loop *loop) {
    GNOMON_ASSERT_ON_LOOP(loop);
    loop->has_unread = 0;
    for (struct connection *one = loop->connections, *next; one; one = next) {
        next = one->next;
        int is_unread = one->is_unread;
        one->is_unread = 0;
        if (is_unread && !one->waits_to_write) connection_read(one);
    }
}
