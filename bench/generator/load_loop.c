#include "load.h"

#include "load_flight.h"
#include "load_http2.h"
#include "load_link.h"
#include "ticks.h"

enum { EVENTS = 256, TICK_MS = 20 };

#define TICK (TICK_MS * (TICKS_SECOND / 1000))

struct load *gnomon_load_new(const struct load_settings *settings, const struct load_row *rows,
                             size_t row_count) {
    struct load *load = calloc(1, sizeof *load);
    if (!load) return NULL;
    load->settings = *settings;
    load->row_count = row_count;
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    load->rows = malloc(row_count * sizeof *rows);
    load->links = calloc(settings->connections, sizeof *load->links);
    load->slots = calloc(settings->slot_count, sizeof *load->slots);
    load->log = calloc(settings->log_room + 1, sizeof *load->log);
    if (load->epoll < 0 || !load->rows || !load->links || !load->slots || !load->log ||
        gnomon_load_http2_prepare(load)) {
        gnomon_load_free(load);
        return NULL;
    }
    memcpy(load->rows, rows, row_count * sizeof *rows);
    for (size_t index = 0; index < settings->connections; index++) {
        load->links[index].load = load;
        load->links[index].descriptor = -1;
    }
    return load;
}

/* The next link with a free stream, in turn; NULL if there is none. */
static struct load_link *find_link(struct load *load) {
    size_t count = load->settings.connections;
    for (size_t tried = 0; tried < count; tried++) {
        struct load_link *link = load->links + load->link_next;
        load->link_next = load->link_next + 1 == count ? 0 : load->link_next + 1;
        if (gnomon_link_has_room(link)) return link;
    }
    return NULL;
}

/* Open loop: submit what is due, as long as streams are free. */
static void submit_due(struct load *load) {
    const struct load_settings *settings = &load->settings;
    while (load->due_next < settings->due_count) {
        uint64_t due = load->since + settings->dues[load->due_next];
        if (due > load->now) return;
        struct load_link *link = find_link(load);
        if (link) {
            int has_waited = due <= load->blocked;
            load->waited += (uint64_t)has_waited;
            gnomon_link_submit(link, due, has_waited);
        } else if (load->now < due + settings->timeout) {
            load->blocked = load->now;
            return;
        } else {
            gnomon_flight_unsent(load, due);
        }
        load->due_next++;
    }
}

/* Closed loop: a request for each answer. */
static void refill(struct load *load) {
    uint64_t end = load->since + load->settings.warm_up + load->settings.measured;
    for (struct load_link *link = load->dirty; link; link = link->next_dirty)
        while (link->owed && gnomon_link_has_room(link)) {
            uint64_t now = ticks_now();
            if (now >= end) return;
            link->owed--;
            gnomon_link_submit(link, now, 0);
        }
}

/* What is not done for each request: time limits, connections, how long there was none. */
static void check(struct load *load) {
    if (load->now - load->checked < TICK) return;
    load->checked = load->now;
    for (size_t index = 0; index < load->settings.connections; index++) {
        struct load_link *link = load->links + index;
        if (link->state == LINK_DOWN && load->now >= link->retry_at) gnomon_link_connect(link);
        else gnomon_link_check_time(link);
    }
    if (load->links_up) load->down_since = 0;
    else if (!load->down_since) load->down_since = load->now;
    else if (load->now - load->down_since > load->settings.patience) load->ended_early = 1;
}

/* Wait for events, at most until `until`, and attend to them. */
static void attend(struct load *load, uint64_t until) {
    struct epoll_event events[EVENTS];
    uint64_t now = ticks_now(), limit = until > now ? until - now : 0;
    int count = ticks_wait(load->epoll, events, EVENTS, limit < TICK ? limit : TICK);
    load->now = ticks_now();
    for (int index = 0; index < count; index++)
        gnomon_link_attend(events[index].data.ptr, events[index].events);
}

static uint64_t next_wake(const struct load *load) {
    const struct load_settings *settings = &load->settings;
    if (load->due_next == settings->due_count) return TICKS_NEVER;
    uint64_t due = load->since + settings->dues[load->due_next];
    /* A request that waits for a stream is sent when an answer comes, not at a time. */
    if (due <= load->blocked) return TICKS_NEVER;
    return due - settings->spin;
}

static void connect_all(struct load *load) {
    uint64_t until = (load->now = ticks_now()) + load->settings.patience;
    for (size_t index = 0; index < load->settings.connections; index++)
        gnomon_link_connect(load->links + index);
    while (load->links_up < load->settings.connections && load->now < until && !load->is_stopped) {
        attend(load, until);
        gnomon_links_flush(load);
        check(load);
    }
}

static int is_done(const struct load *load) {
    const struct load_settings *settings = &load->settings;
    if (load->is_stopped || load->ended_early) return 1;
    return load->now >= load->since + settings->warm_up + settings->measured && !load->flying &&
           load->due_next == settings->due_count;
}

/* Count what was due and is not answered. */
static void abandon(struct load *load) {
    struct load_settings *settings = &load->settings;
    /* What the user has cut off is no fault of the server. */
    if (load->is_stopped) settings->measured = 0;
    for (size_t index = 0; index < settings->connections; index++)
        gnomon_link_break(load->links + index);
    for (; load->due_next < settings->due_count; load->due_next++) {
        uint64_t due = load->since + settings->dues[load->due_next];
        if (due > load->now) break;
        gnomon_flight_unsent(load, due);
    }
}

void gnomon_load_run(struct load *load) {
    uint64_t cpu = 0;
    ticks_be_exact();
    connect_all(load);
    load->ended_early = !load->links_up;
    if (load->ended_early) return;
    load->since = load->now = load->checked = ticks_now();
    for (size_t index = 0; index < load->settings.connections; index++)
        gnomon_link_wake(load->links + index);
    while (!is_done(load)) {
        if (!cpu && load->now >= load->since + load->settings.warm_up) cpu = ticks_cpu();
        if (load->settings.dues) submit_due(load);
        else refill(load);
        gnomon_links_flush(load);
        attend(load, next_wake(load));
        check(load);
    }
    load->cpu = cpu ? ticks_cpu() - cpu : 0;
    abandon(load);
}

void gnomon_load_stop(struct load *load) {
    load->is_stopped = 1;
}

void gnomon_load_free(struct load *load) {
    for (size_t index = 0; load->links && index < load->settings.connections; index++) {
        gnomon_link_break(load->links + index);
        free(load->links[index].in.data);
        free(load->links[index].out.data);
    }
    for (struct load_flight *one = load->pool, *next; one; one = next) {
        next = one->next;
        free(one->body.data);
        free(one);
    }
    for (size_t index = 0; index < load->kept_size; index++) free(load->kept[index].body.data);
    if (load->callbacks) gnomon_h2_table.session_callbacks_del(load->callbacks);
    if (load->option) gnomon_h2_table.option_del(load->option);
    if (load->epoll >= 0) close(load->epoll);
    free(load->rows);
    free(load->links);
    free(load->slots);
    free(load->log);
    free(load);
}
