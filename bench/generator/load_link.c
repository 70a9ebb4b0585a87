#include "load_link.h"

#include "load_flight.h"
#include "load_http1.h"
#include "load_http2.h"
#include "ticks.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

enum { READ_BYTES = 256 << 10, KEPT_BYTES = 1 << 20, RETRY_MS = 100 };

static void watch(struct load_link *link, int operation, int is_writing) {
    struct epoll_event event = {.events = EPOLLIN | (is_writing ? EPOLLOUT : 0u), .data.ptr = link};
    link->is_writing = is_writing;
    epoll_ctl(link->load->epoll, operation, link->descriptor, &event);
}

static void mark_dirty(struct load_link *link) {
    if (link->is_dirty) return;
    link->is_dirty = 1;
    link->next_dirty = link->load->dirty;
    link->load->dirty = link;
}

void gnomon_link_wake(struct load_link *link) {
    mark_dirty(link);
}

void gnomon_link_connect(struct load_link *link) {
    struct load *load = link->load;
    const struct sockaddr *address = (const struct sockaddr *)&load->settings.address;
    int yes = 1, type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
    link->retry_at = load->now + RETRY_MS * (TICKS_SECOND / 1000);
    link->descriptor = socket(address->sa_family, type, 0);
    if (link->descriptor < 0) {
        load->error = errno;
        return;
    }
    setsockopt(link->descriptor, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (connect(link->descriptor, address, load->settings.address_size) && errno != EINPROGRESS) {
        load->error = errno;
        close(link->descriptor);
        link->descriptor = -1;
        return;
    }
    link->state = LINK_CONNECTING;
    watch(link, EPOLL_CTL_ADD, 1);
}

static void rise(struct load_link *link) {
    struct load *load = link->load;
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(link->descriptor, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error) load->error = error;
    int is_http1 = load->settings.protocol == LOAD_HTTP1;
    if (error || (!is_http1 && gnomon_load_http2_open(link))) {
        gnomon_link_break(link);
        return;
    }
    link->state = LINK_UP;
    link->owed = load->settings.dues ? 0 : load->settings.streams;
    load->links_up++;
    load->reconnects += load->since != 0;
    mark_dirty(link);
}

void gnomon_link_break(struct load_link *link) {
    struct load *load = link->load;
    if (link->descriptor < 0) return;
    if (link->state == LINK_UP) load->links_up--;
    /* Requests end here, not in the callbacks of a session that is deleted. */
    while (link->oldest) {
        struct load_flight *flight = link->oldest;
        if (link->session)
            gnomon_h2_table.session_set_stream_user_data(link->session, flight->stream, NULL);
        gnomon_flight_end(flight, LOAD_LOST);
    }
    /* Another process that is just being started may hold the descriptor too. */
    epoll_ctl(load->epoll, EPOLL_CTL_DEL, link->descriptor, NULL);
    close(link->descriptor);
    if (link->session) gnomon_h2_table.session_del(link->session);
    link->session = NULL;
    link->descriptor = -1;
    link->state = LINK_DOWN;
    link->in.size = link->out.size = link->sent = link->owed = 0;
}

int gnomon_link_has_room(const struct load_link *link) {
    return link->state == LINK_UP && link->active < link->load->settings.streams &&
           (!link->session || link->active < gnomon_load_http2_room(link));
}

void gnomon_link_submit(struct load_link *link, uint64_t due, int has_waited) {
    struct load_flight *flight = gnomon_flight_new(link, due);
    int is_http1 = link->load->settings.protocol == LOAD_HTTP1;
    if (!flight) {
        gnomon_flight_unsent(link->load, due);
        return;
    }
    flight->has_waited = has_waited;
    mark_dirty(link);
    if (is_http1 ? gnomon_load_http1_submit(flight) : gnomon_load_http2_submit(flight)) {
        gnomon_flight_end(flight, LOAD_LOST);
        /* Stream numbers have run out, or memory: a new connection follows. */
        link->state = LINK_LEAVING;
        link->load->links_up--;
    }
}

/* Write what there is; -1: the link is broken. */
static int flush(struct load_link *link) {
    if (link->session && gnomon_load_http2_write(link)) return -1;
    while (link->sent < link->out.size) {
        ssize_t size = send(link->descriptor, link->out.data + link->sent,
                            link->out.size - link->sent, MSG_NOSIGNAL);
        if (size < 0 && errno != EAGAIN) return -1;
        if (size < 0) break;
        link->sent += (size_t)size;
    }
    if (link->sent == link->out.size) {
        buffer_clear(&link->out, KEPT_BYTES);
        link->sent = 0;
    }
    if (link->is_writing != (link->out.size > 0)) watch(link, EPOLL_CTL_MOD, link->out.size > 0);
    return link->state == LINK_LEAVING && !link->active ? -1 : 0;
}

void gnomon_links_flush(struct load *load) {
    for (struct load_link *link; (link = load->dirty);) {
        load->dirty = link->next_dirty;
        link->is_dirty = 0;
        if (link->state >= LINK_UP && flush(link)) gnomon_link_break(link);
    }
    if (load->unflushed) gnomon_flights_sent(load, ticks_now());
}

/* Read what came; -1: the link is broken. */
static int receive(struct load_link *link) {
    static __thread uint8_t data[READ_BYTES];
    struct load *load = link->load;
    ssize_t size = recv(link->descriptor, data, sizeof data, 0);
    if (size < 0 && errno == EAGAIN) return 0;
    load->now = ticks_now();
    if (size <= 0) {
        if (!size && load->settings.protocol == LOAD_HTTP1) gnomon_load_http1_end(link);
        return -1;
    }
    if (load->settings.protocol == LOAD_HTTP1)
        return gnomon_load_http1_read(link, data, (size_t)size);
    return gnomon_load_http2_read(link, data, (size_t)size);
}

void gnomon_link_attend(struct load_link *link, uint32_t events) {
    if (link->descriptor < 0) return;
    if (link->state == LINK_CONNECTING) {
        rise(link);
        return;
    }
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && receive(link)) {
        gnomon_link_break(link);
        return;
    }
    mark_dirty(link);
}

void gnomon_link_check_time(struct load_link *link) {
    struct load *load = link->load;
    while (link->oldest && load->now >= link->oldest->due + load->settings.timeout) {
        struct load_flight *flight = link->oldest;
        int32_t stream = flight->stream;
        if (link->session)
            gnomon_h2_table.session_set_stream_user_data(link->session, stream, NULL);
        gnomon_flight_end(flight, LOAD_LATE);
        if (!link->session) {
            gnomon_link_break(link);
            return;
        }
        gnomon_h2_table.submit_rst_stream(link->session, 0, stream, H2_CANCEL_CODE);
        mark_dirty(link);
    }
}
