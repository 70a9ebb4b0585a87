#include "load_flight.h"

enum { KEPT_BYTES = 64 << 10 };

struct load_flight *gnomon_flight_new(struct load_link *link, uint64_t due) {
    struct load *load = link->load;
    struct load_flight *flight = load->pool;
    if (flight) load->pool = flight->next;
    else flight = calloc(1, sizeof *flight);
    if (!flight) return NULL;
    struct buffer body = flight->body;
    buffer_clear(&body, KEPT_BYTES);
    *flight = (struct load_flight){.link = link, .due = due, .status = -1, .body = body};
    flight->row = (uint32_t)load->row_next;
    load->row_next = load->row_next + 1 == load->row_count ? 0 : load->row_next + 1;
    flight->previous = link->newest;
    if (link->newest) link->newest->next = flight;
    else link->oldest = flight;
    link->newest = flight;
    link->active++;
    load->flying++;
    flight->unflushed = load->unflushed;
    load->unflushed = flight;
    return flight;
}

static int is_recorded(const struct load *load, uint64_t due) {
    uint64_t begin = load->since + load->settings.warm_up;
    return due >= begin && due - begin < load->settings.measured;
}

static void count_latency(struct load *load, struct load_slot *slot, uint64_t due, uint64_t sent,
                          uint64_t done) {
    uint32_t cell = histogram_cell(done > due ? done - due : 0);
    load->latency[cell]++;
    slot->latency[cell]++;
    if (sent) load->service[histogram_cell(done > sent ? done - sent : 0)]++;
}

static void record(struct load *load, const struct load_flight *flight, uint64_t done,
                   enum load_outcome outcome) {
    uint64_t since = load->since;
    struct load_record *line = load->log + load->log_size++;
    line->due = flight->due - since;
    line->sent = flight->sent ? flight->sent - since : 0;
    line->done = done - since;
    line->row = flight->row;
    line->status = (int16_t)flight->status;
    line->outcome = (uint16_t)outcome;
}

static void count(struct load *load, const struct load_flight *flight, enum load_outcome outcome) {
    uint64_t begin = load->since + load->settings.warm_up, done = load->now;
    size_t slot = (flight->due - begin) / load->settings.slot;
    if (slot >= load->settings.slot_count) slot = load->settings.slot_count - 1;
    load->outcomes[outcome]++;
    load->slots[slot].outcomes[outcome]++;
    if (flight->status >= 0)
        load->statuses[flight->status < LOAD_STATUSES ? flight->status : LOAD_STATUSES - 1]++;
    int is_late = outcome == LOAD_LATE || outcome == LOAD_UNSENT;
    if (is_late && done < flight->due + load->settings.timeout)
        done = flight->due + load->settings.timeout;
    if (outcome == LOAD_GOOD || outcome == LOAD_DIFFERENT || is_late)
        count_latency(load, load->slots + slot, flight->due, flight->sent, done);
    if (done > load->since + load->finished) load->finished = done - load->since;
    if (load->log_size < load->settings.log_room) record(load, flight, done, outcome);
}

void gnomon_flight_end(struct load_flight *flight, enum load_outcome outcome) {
    struct load_link *link = flight->link;
    struct load *load = link->load;
    if (is_recorded(load, flight->due)) count(load, flight, outcome);
    if (flight->previous) flight->previous->next = flight->next;
    else link->oldest = flight->next;
    if (flight->next) flight->next->previous = flight->previous;
    else link->newest = flight->previous;
    for (struct load_flight **one = &load->unflushed; !flight->sent && *one;
         one = &(*one)->unflushed)
        if (*one == flight) {
            *one = flight->unflushed;
            break;
        }
    link->active--;
    load->flying--;
    link->owed += load->settings.dues == NULL;
    flight->next = load->pool;
    load->pool = flight;
}

static void keep(struct load *load, const struct load_flight *flight) {
    struct load_kept *kept = load->kept + load->kept_size;
    if (load->kept_size == LOAD_KEPT) return;
    kept->row = flight->row;
    if (!buffer_append(&kept->body, flight->body.data, flight->body.size)) load->kept_size++;
}

void gnomon_flight_answered(struct load_flight *flight) {
    struct load *load = flight->link->load;
    const struct slice *expected = &load->rows[flight->row].expected;
    int is_grpc = load->settings.protocol == LOAD_GRPC;
    enum load_outcome outcome = LOAD_GOOD;
    if (is_grpc ? !flight->is_grpc_status || flight->status != 0
                : flight->status < 200 || flight->status > 299) {
        outcome = LOAD_REFUSED;
    } else if (expected->data && (flight->body.size != expected->size ||
                                  memcmp(flight->body.data, expected->data, expected->size))) {
        outcome = LOAD_DIFFERENT;
        keep(load, flight);
    }
    gnomon_flight_end(flight, outcome);
}

void gnomon_flight_unsent(struct load *load, uint64_t due) {
    struct load_flight none = {.due = due, .status = -1, .row = UINT32_MAX};
    if (is_recorded(load, due)) count(load, &none, LOAD_UNSENT);
}

void gnomon_flights_sent(struct load *load, uint64_t now) {
    for (struct load_flight *one = load->unflushed, *next; one; one = next) {
        next = one->unflushed;
        one->sent = now;
        one->unflushed = NULL;
        if (is_recorded(load, one->due) && !one->has_waited)
            load->lateness[histogram_cell(now > one->due ? now - one->due : 0)]++;
    }
    load->unflushed = NULL;
}
