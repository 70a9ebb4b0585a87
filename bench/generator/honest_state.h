/* What the honest server's loop keeps. All of it belongs to the loop's thread. */
#ifndef GNOMON_HONEST_STATE_H
#define GNOMON_HONEST_STATE_H

#include "../../server/serving/native/buffer.h"
#include "h2_table.h"
#include "histogram_cells.h"
#include "honest_law.h"

/* Answers are sent in one frame. */
enum { HONEST_BODY_LIMIT = 16000 };

struct honest_answer {
    struct slice path; /* empty: any other path */
    struct slice body; /* at most HONEST_BODY_LIMIT bytes */
    int is_grpc;
    int is_delayed; /* by the law; otherwise at once */
};

enum honest_protocol {
    HONEST_UNKNOWN, /* too few bytes came to tell */
    HONEST_HTTP1,
    HONEST_HTTP2,
};

struct honest_client {
    struct honest *server;
    struct honest_client *next, *previous;
    int descriptor; /* -1 once closed */
    enum honest_protocol protocol;
    /* Add an answer to `out`, as the protocol has it; 0, or -1: close. */
    int (*answer)(struct honest_client *client, int32_t stream, const struct honest_answer *answer);
    h2_session *session;
    struct buffer in, out;
    size_t sent;    /* of `out` */
    size_t pending; /* answers that are due later; it is freed only without any */
    int is_busy;    /* HTTP/1: a request is not yet answered */
    int ends;       /* HTTP/1: close after the answer */
    int is_writing; /* epoll watches for room to write */
};

struct honest_due {
    uint64_t at;
    struct honest_client *client;
    const struct honest_answer *answer;
    int32_t stream;
};

struct honest {
    int epoll, listener, wake;
    uint64_t now, since; /* `since`: when the first period began */
    struct honest_law law;
    const struct honest_answer *answers; /* the last one is for any path */
    size_t answer_count;
    struct honest_client *clients;
    struct honest_due *heap; /* the earliest first */
    size_t heap_size, heap_room;
    uint64_t *free_at; /* working time at which each worker is free; a heap, the earliest first */
    h2_callbacks *callbacks;
    h2_option *option;
    uint64_t answered;
    uint64_t lateness[HISTOGRAM_CELLS]; /* from when an answer was due until it was sent */
};

/* Schedule the answer to a request that has arrived whole; 0, or -1 without memory. */
int gnomon_honest_request(struct honest_client *client, int32_t stream,
                          const struct honest_answer *answer);
/* Answer at once, and count it; 0, or -1: close. */
int gnomon_honest_answer(struct honest_client *client, int32_t stream,
                         const struct honest_answer *answer);
/* The answer for a path. */
const struct honest_answer *gnomon_honest_find(const struct honest *server, const uint8_t *path,
                                               size_t size);

/* HTTP/2. Make the callbacks that all sessions share; 0, or -1 without memory. */
int gnomon_honest_http2_prepare(struct honest *server);
/* Begin a session; 0, or -1 without memory. */
int gnomon_honest_http2_open(struct honest_client *client);
/* Read what came, and add what is to be sent to `out`; -1: close. */
int gnomon_honest_http2_read(struct honest_client *client);
int gnomon_honest_http2_write(struct honest_client *client);
int gnomon_honest_http2_answer(struct honest_client *client, int32_t stream,
                               const struct honest_answer *answer);

/* HTTP/1. Read requests until one is not answered yet; -1: close. */
int gnomon_honest_http1_read(struct honest_client *client);
int gnomon_honest_http1_answer(struct honest_client *client, int32_t stream,
                               const struct honest_answer *answer);

#endif
