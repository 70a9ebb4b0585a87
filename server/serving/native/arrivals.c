/* How connections come: one loop of a ring listens, and hands them to the loop with the fewest. */
#define _GNU_SOURCE
#include "transport.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

void listen_again(struct loop *loop) {
    if (loop->is_listening || loop->listener < 0) return;
    watch(loop, EPOLL_CTL_ADD, loop->listener, EPOLLIN, &loop->listener);
    loop->is_listening = 1;
}

void loop_join(struct loop *loop, struct loop *other) {
    loop->sibling = other->sibling;
    other->sibling = loop;
}

void count_load(struct loop *loop, int more) {
    pthread_mutex_lock(&loop->queue->lock);
    loop->load += more;
    pthread_mutex_unlock(&loop->queue->lock);
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

void open_arrivals(struct loop *loop) {
    for (struct arrival *one = take_arrivals(loop), *next; one; one = next) {
        next = one->next;
        connection_open(loop, one->socket);
        free(one);
    }
}

void accept_all(struct loop *loop) {
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

void stop_listening(struct loop *loop) {
    if (loop->listener < 0) return;
    /* Who has connected already is answered. */
    accept_all(loop);
    if (loop->is_listening) watch(loop, EPOLL_CTL_DEL, loop->listener, 0, NULL);
    loop->is_listening = 0;
    close(loop->listener);
    loop->listener = -1;
}

void drop_arrivals(struct loop *loop) {
    for (struct arrival *one = take_arrivals(loop), *next; one; one = next) {
        next = one->next;
        close(one->socket);
        free(one);
    }
}
