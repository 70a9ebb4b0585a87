#define _GNU_SOURCE
/* The honest server's loop: accept, read, and answer when it is due. */
#include "honest.h"

#include "honest_queue.h"
#include "ticks.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

enum { EVENTS = 256, READ_BYTES = 64 << 10, KEPT_BYTES = 256 << 10, IN_LIMIT = 65 << 20 };

struct honest *gnomon_honest_new(int listener, const struct honest_law *law,
                                 const struct honest_answer *answers, size_t answer_count) {
    struct honest *server = calloc(1, sizeof *server);
    if (!server) return NULL;
    server->law = *law;
    server->answers = answers;
    server->answer_count = answer_count;
    server->listener = listener;
    server->epoll = epoll_create1(EPOLL_CLOEXEC);
    server->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    server->free_at = calloc(law->workers + 1, sizeof *server->free_at);
    struct epoll_event accepts = {.events = EPOLLIN, .data.ptr = &server->listener};
    struct epoll_event wakes = {.events = EPOLLIN, .data.ptr = &server->wake};
    if (server->epoll < 0 || server->wake < 0 || !server->free_at ||
        gnomon_honest_http2_prepare(server) ||
        epoll_ctl(server->epoll, EPOLL_CTL_ADD, listener, &accepts) ||
        epoll_ctl(server->epoll, EPOLL_CTL_ADD, server->wake, &wakes)) {
        gnomon_honest_free(server);
        return NULL;
    }
    return server;
}

static void release(struct honest_client *client) {
    struct honest *server = client->server;
    if (client->previous) client->previous->next = client->next;
    else server->clients = client->next;
    if (client->next) client->next->previous = client->previous;
    free(client->in.data);
    free(client->out.data);
    free(client);
}

static void close_client(struct honest_client *client) {
    if (client->descriptor < 0) return;
    /* A process that is just being started may hold the descriptor too: epoll would go on telling
     * of it, by a pointer to what is freed here. */
    epoll_ctl(client->server->epoll, EPOLL_CTL_DEL, client->descriptor, NULL);
    close(client->descriptor);
    client->descriptor = -1;
    if (client->session) gnomon_h2_table.session_del(client->session);
    client->session = NULL;
    if (!client->pending) release(client);
}

static void watch_writing(struct honest_client *client, int is_writing) {
    if (client->is_writing == is_writing) return;
    client->is_writing = is_writing;
    struct epoll_event event = {.events = EPOLLIN | (is_writing ? EPOLLOUT : 0u),
                                .data.ptr = client};
    epoll_ctl(client->server->epoll, EPOLL_CTL_MOD, client->descriptor, &event);
}

/* Send what there is to send; the client may be closed, and freed, by it. */
static void flush(struct honest_client *client) {
    int is_over = client->session && gnomon_honest_http2_write(client);
    while (client->sent < client->out.size) {
        ssize_t size = send(client->descriptor, client->out.data + client->sent,
                            client->out.size - client->sent, MSG_NOSIGNAL);
        if (size < 0 && errno == EAGAIN) break;
        if (size < 0) is_over = 1;
        if (size < 0) break;
        client->sent += (size_t)size;
    }
    if (client->sent == client->out.size) {
        buffer_clear(&client->out, KEPT_BYTES);
        client->sent = 0;
        is_over |= client->protocol == HONEST_HTTP1 && client->ends && !client->is_busy;
    }
    if (is_over) close_client(client);
    else watch_writing(client, client->out.size > 0);
}

static int parse(struct honest_client *client) {
    if (client->protocol == HONEST_UNKNOWN) {
        if (client->in.size < 4) return 0;
        client->protocol = memcmp(client->in.data, "PRI ", 4) ? HONEST_HTTP1 : HONEST_HTTP2;
        client->answer = client->protocol == HONEST_HTTP2 ? gnomon_honest_http2_answer
                                                          : gnomon_honest_http1_answer;
        if (client->protocol == HONEST_HTTP2 && gnomon_honest_http2_open(client)) return -1;
    }
    if (client->protocol == HONEST_HTTP2) return gnomon_honest_http2_read(client);
    size_t before;
    do {
        before = client->in.size;
        if (gnomon_honest_http1_read(client)) return -1;
    } while (client->in.size < before);
    return 0;
}

/* Read once: epoll tells of the rest in the next turn. */
static void attend(struct honest_client *client, uint32_t events) {
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        ssize_t size = -1;
        if (!buffer_reserve(&client->in, READ_BYTES))
            size = recv(client->descriptor, client->in.data + client->in.size, READ_BYTES, 0);
        if (size < 0 && errno == EAGAIN) return;
        client->server->now = ticks_now();
        if (size > 0) client->in.size += (size_t)size;
        if (size <= 0 || client->in.size > IN_LIMIT || parse(client)) {
            close_client(client);
            return;
        }
    }
    flush(client);
}

static void accept_all(struct honest *server) {
    int descriptor, yes = 1;
    while ((descriptor = accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >=
           0) {
        struct honest_client *client = calloc(1, sizeof *client);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
        if (!client || epoll_ctl(server->epoll, EPOLL_CTL_ADD, descriptor, &event)) {
            free(client);
            close(descriptor);
            return;
        }
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        client->server = server;
        client->descriptor = descriptor;
        client->next = server->clients;
        if (client->next) client->next->previous = client;
        server->clients = client;
    }
}

/* Answer all that is due, each with a write of its own: that is when it counts as sent. */
static void answer_due(struct honest *server) {
    while (server->heap_size && server->heap[0].at <= (server->now = ticks_now())) {
        struct honest_due due = gnomon_honest_pop(server);
        struct honest_client *client = due.client;
        client->pending--;
        if (client->descriptor < 0) {
            if (!client->pending) release(client);
            continue;
        }
        if (gnomon_honest_answer(client, due.stream, due.answer) ||
            (client->protocol == HONEST_HTTP1 && parse(client)))
            close_client(client);
        else flush(client);
        server->lateness[histogram_cell(ticks_now() - due.at)]++;
    }
}

static void close_all(struct honest *server) {
    for (struct honest_client *one = server->clients, *next; one; one = next) {
        next = one->next;
        one->pending = 0;
        if (one->descriptor >= 0) close_client(one);
        else release(one);
    }
    server->heap_size = 0;
    if (server->listener >= 0) close(server->listener);
    server->listener = -1;
}

void gnomon_honest_run(struct honest *server) {
    struct epoll_event events[EVENTS];
    ticks_be_exact();
    server->since = server->now = ticks_now();
    for (int is_stopped = 0; !is_stopped;) {
        uint64_t next = server->heap_size ? server->heap[0].at : TICKS_NEVER, now = ticks_now();
        uint64_t limit = next > now ? next - now : 0;
        if (limit > TICKS_SECOND) limit = TICKS_SECOND;
        int count = ticks_wait(server->epoll, events, EVENTS, limit);
        server->now = ticks_now();
        for (int index = 0; index < count; index++) {
            void *what = events[index].data.ptr;
            if (what == &server->wake) is_stopped = 1;
            else if (what == &server->listener) accept_all(server);
            else attend(what, events[index].events);
        }
        answer_due(server);
    }
    close_all(server);
}

void gnomon_honest_stop(struct honest *server) {
    uint64_t one = 1;
    while (write(server->wake, &one, sizeof one) < 0 && errno == EINTR) {
    }
}

void gnomon_honest_free(struct honest *server) {
    close_all(server);
    if (server->callbacks) gnomon_h2_table.session_callbacks_del(server->callbacks);
    if (server->option) gnomon_h2_table.option_del(server->option);
    if (server->epoll >= 0) close(server->epoll);
    if (server->wake >= 0) close(server->wake);
    free(server->heap);
    free(server->free_at);
    free(server);
}
