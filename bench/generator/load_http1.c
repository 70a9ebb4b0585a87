#define _GNU_SOURCE
#include "load_http1.h"

#include "load_flight.h"

#include <strings.h>

enum { HEAD_LIMIT = 64 << 10 };

int gnomon_load_http1_submit(struct load_flight *flight) {
    struct slice request = flight->link->load->rows[flight->row].request;
    return buffer_append(&flight->link->out, request.data, request.size);
}

/* The value of a header in a head whose lines end with \r\n; NULL if it has none. */
static const char *header(const char *head, const char *end, const char *name) {
    size_t size = strlen(name);
    for (const char *line = head; line < end; line++) {
        line = memchr(line, '\n', (size_t)(end - line));
        if (!line || (size_t)(end - line) < size + 2) return NULL;
        if (strncasecmp(line + 1, name, size) || line[size + 1] != ':') continue;
        line += size + 2;
        while (*line == ' ') line++;
        return line;
    }
    return NULL;
}

static size_t decimal(const char *text) {
    size_t value = 0;
    for (; *text >= '0' && *text <= '9' && value <= LOAD_BODY_LIMIT; text++)
        value = value * 10 + (size_t)(*text - '0');
    return value;
}

static int hexadecimal(char letter) {
    if (letter >= '0' && letter <= '9') return letter - '0';
    letter |= 32;
    return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

/* Join a body in chunks: bytes of it all, 0 if there are more to come, -1 if it is malformed. */
static ssize_t join_chunks(const char *data, const char *end, struct buffer *body) {
    const char *at = data;
    for (;;) {
        size_t size = 0;
        const char *line = memmem(at, (size_t)(end - at), "\r\n", 2);
        if (!line) return 0;
        if (hexadecimal(*at) < 0) return -1;
        for (int digit; (digit = hexadecimal(*at)) >= 0; at++)
            if ((size = size * 16 + (size_t)digit) > LOAD_BODY_LIMIT) return -1;
        at = line + 2;
        if ((size_t)(end - at) < size + 2) return 0;
        if (!size) break;
        if (buffer_append(body, at, size)) return -1;
        at += size + 2;
    }
    /* Trailers end with an empty line. */
    const char *last = memmem(at - 2, (size_t)(end - at + 2), "\r\n\r\n", 4);
    return last ? last + 4 - data : 0;
}

/* The body's bytes on the wire, once all have come; 0 if not, -1 if it is malformed. */
static ssize_t take_body(const char *head, const char *start, const char *end, int is_closed,
                         struct load_flight *flight) {
    const char *length = header(head, start, "content-length");
    const char *coding = header(head, start, "transfer-encoding");
    size_t have = (size_t)(end - start), size = length ? decimal(length) : have;
    flight->body.size = 0;
    if (coding && !strncasecmp(coding, "chunked", 7)) return join_chunks(start, end, &flight->body);
    if (size > LOAD_BODY_LIMIT) return -1;
    if (have < size || (!length && !is_closed)) return 0;
    if (buffer_append(&flight->body, start, size)) return -1;
    return size ? (ssize_t)size : 1;
}

/* Take one answer out of `in`: 1 if it was whole, 0 if not, -1: close the link. */
static int take_answer(struct load_link *link, int is_closed) {
    struct load_flight *flight = link->oldest;
    const char *head = (const char *)link->in.data, *end = head + link->in.size;
    if (!link->in.size) return 0;
    if (!flight) return -1;
    const char *blank = memmem(head, link->in.size, "\r\n\r\n", 4);
    if (!blank) return link->in.size > HEAD_LIMIT ? -1 : 0;
    if (link->in.size < 12 || memcmp(head, "HTTP/1.", 7)) return -1;
    const char *length = header(head, blank + 2, "content-length");
    const char *connection = header(head, blank + 2, "connection");
    int closes = connection && !strncasecmp(connection, "close", 5);
    flight->status = (int)decimal(head + 9);
    ssize_t size = take_body(head, blank + 4, end, is_closed, flight);
    if (size <= 0) return (int)size;
    if (length && !flight->body.size) size = 0;
    size += blank + 4 - head;
    memmove(link->in.data, link->in.data + size, link->in.size - (size_t)size);
    link->in.size -= (size_t)size;
    gnomon_flight_answered(flight);
    return closes ? -1 : 1;
}

int gnomon_load_http1_read(struct load_link *link, const uint8_t *data, size_t size) {
    int taken;
    if (link->in.size + size > LOAD_BODY_LIMIT || buffer_append(&link->in, data, size)) return -1;
    while ((taken = take_answer(link, 0)) > 0) {
    }
    return taken;
}

void gnomon_load_http1_end(struct load_link *link) {
    take_answer(link, 1);
}
