#define _GNU_SOURCE
/* The honest server's HTTP/1: one request after the other on each connection. */
#include "honest_state.h"

#include <stdio.h>
#include <strings.h>

enum { HEAD_LIMIT = 16 << 10, REQUEST_LIMIT = 64 << 20 };

/* The value of a header in a head that ends with an empty line; NULL if it has none. */
static const char *header(const char *head, const char *end, const char *name) {
    size_t size = strlen(name);
    for (const char *line = head; line < end; line++) {
        line = memchr(line, '\n', (size_t)(end - line));
        if (!line || (size_t)(end - line) < size + 2) return NULL;
        if (!strncasecmp(line + 1, name, size) && line[size + 1] == ':') return line + size + 2;
    }
    return NULL;
}

/* Bytes of the body that follow a head; -1 if that cannot be known. */
static ssize_t body_size(const char *head, const char *end) {
    if (header(head, end, "transfer-encoding")) return -1;
    const char *value = header(head, end, "content-length");
    ssize_t size = 0;
    while (value && *value == ' ') value++;
    for (; value && *value >= '0' && *value <= '9'; value++) {
        size = size * 10 + (*value - '0');
        if (size > REQUEST_LIMIT) return -1;
    }
    return size;
}

/* Whether the client wants the connection closed after the answer. */
static int ends(const char *head, const char *end) {
    const char *value = header(head, end, "connection");
    while (value && *value == ' ') value++;
    const char *line = memchr(head, '\r', (size_t)(end - head));
    int is_old = line && line - head > 8 && !memcmp(line - 8, "HTTP/1.0", 8);
    if (is_old) return !value || strncasecmp(value, "keep-alive", 10);
    return value && !strncasecmp(value, "close", 5);
}

int gnomon_honest_http1_read(struct honest_client *client) {
    if (client->is_busy || !client->in.size) return 0;
    const char *head = (const char *)client->in.data;
    const char *end = memmem(head, client->in.size, "\r\n\r\n", 4);
    if (!end) return client->in.size > HEAD_LIMIT ? -1 : 0;
    ssize_t body = body_size(head, end + 2);
    if (body < 0) return -1;
    size_t size = (size_t)(end + 4 - head) + (size_t)body;
    if (client->in.size < size) return 0;
    const char *path = memchr(head, ' ', (size_t)(end - head));
    const char *behind = path ? memchr(path + 1, ' ', (size_t)(end - path - 1)) : NULL;
    if (!behind) return -1;
    const struct honest_answer *answer =
        gnomon_honest_find(client->server, (const uint8_t *)path + 1, (size_t)(behind - path - 1));
    client->is_busy = 1;
    client->ends = ends(head, end + 2);
    memmove(client->in.data, client->in.data + size, client->in.size - size);
    client->in.size -= size;
    return gnomon_honest_request(client, 0, answer);
}

int gnomon_honest_http1_answer(struct honest_client *client, int32_t stream,
                               const struct honest_answer *answer) {
    (void)stream; /* a connection has one request at a time */
    char head[160];
    int size = snprintf(head, sizeof head,
                        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
                        "content-length: %zu\r\n%s\r\n",
                        answer->body.size, client->ends ? "connection: close\r\n" : "");
    client->is_busy = 0;
    if (buffer_append(&client->out, head, (size_t)size)) return -1;
    return buffer_append(&client->out, answer->body.data, answer->body.size);
}
