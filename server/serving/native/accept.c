#define _GNU_SOURCE
#include "accept.h"

#include "connection.h"
#include "handover.h"
#include "poller.h"
#include "queue_lock.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

void gnomon_listen_again(struct loop *loop) {
    GNOMON_ASSERT_ON_LOOP(loop);
    if (loop->is_listening || loop->listener < 0) return;
    poller_watch(loop, EPOLL_CTL_ADD, loop->listener, EPOLLIN, &loop->listener);
    loop->is_listening = 1;
}

void gnomon_loop_join(struct loop *loop, struct loop *other) {
    loop->sibling = other->sibling;
    other->sibling = loop;
}

/* With the lock held: the loop for a connection; NULL if there are too many. One that is to end is
 * given none, since it may have ended before it looks; the one that listens keeps them then. */
static struct loop *choose(struct loop *loop) {
    struct loop *best = loop, *one = loop;
    int total = 0;
    do {
        int is_better = one->load < best->load || best->handed.drain_asked;
        if (is_better && !one->handed.drain_asked) best = one;
        total += one->load;
        one = one->sibling;
    } while (one != loop);
    return total < loop->limits.connections ? best : NULL;
}

/* Count a connection at a loop, and hand it over if that is another; NULL if there is no place. */
static struct loop *place(struct loop *loop, int socket) {
    queue_lock(loop->queue);
    struct loop *best = choose(loop);
    if (best) best->load++;
    if (best && best != loop) {
        struct arrival *arrival = malloc(sizeof *arrival);
        if (arrival) {
            arrival->socket = socket;
            gnomon_handover_add_arrival(best, arrival);
        } else {
            best->load--;
            best = NULL;
        }
    }
    queue_unlock(loop->queue);
    if (best && best != loop) gnomon_handover_signal(best);
    return best;
}

void gnomon_open_arrivals(struct loop *loop, struct arrival *first) {
    GNOMON_ASSERT_ON_LOOP(loop);
    for (struct arrival *one = first, *next; one; one = next) {
        next = one->next;
        gnomon_connection_open(loop, one->socket);
        free(one);
    }
}

void gnomon_accept_all(struct loop *loop) {
    GNOMON_ASSERT_ON_LOOP(loop);
    for (;;) {
        int socket = accept4(loop->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (socket < 0) {
            if (errno == EINTR || errno == ECONNABORTED) continue;
            if (errno != EAGAIN && errno != EWOULDBLOCK) {
                /* Out of descriptors: try again at the next tick, and do not spin until then. */
                poller_watch(loop, EPOLL_CTL_DEL, loop->listener, 0, NULL);
                loop->is_listening = 0;
            }
            return;
        }
        struct loop *owner = place(loop, socket);
        if (!owner) {
            loop->counts.dropped_connections++;
            close(socket);
        } else if (owner == loop) {
            gnomon_connection_open(loop, socket);
        }
    }
}

void gnomon_stop_listening(struct loop *loop) {
    GNOMON_ASSERT_ON_LOOP(loop);
    if (loop->listener < 0) return;
    /* Who has connected already is answered. */
    gnomon_accept_all(loop);
    if (loop->is_listening) poller_watch(loop, EPOLL_CTL_DEL, loop->listener, 0, NULL);
    loop->is_listening = 0;
    close(loop->listener);
    loop->listener = -1;
}

void gnomon_drop_arrivals(struct arrival *first) {
    for (struct arrival *one = first, *next; one; one = next) {
        next = one->next;
        close(one->socket);
        free(one);
    }
}
