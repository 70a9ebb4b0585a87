/* gRPC over HTTP/2 on one epoll loop: states and structures first.
 *
 * The loop's thread never holds the interpreter's lock. A complete request is shown to `answer`,
 * which answers it at once or declines; what it declines waits in a queue for Python's threads,
 * which hand the answer back. Only the queue is shared between threads, under `lock`. */
#ifndef GNOMON_TRANSPORT_H
#define GNOMON_TRANSPORT_H

#include <pthread.h>

#include "exchange.h"
#include "h2_library.h"

enum call_state {
    CALL_FREE,
    CALL_RECEIVING, /* its request is arriving */
    CALL_WAITING,   /* complete, and in the queue */
    CALL_RUNNING,   /* with one of Python's threads */
    CALL_DONE,      /* handed back, not yet submitted */
    CALL_ANSWERING, /* submitted: nghttp2 sends it, or its stream ends otherwise */
};

enum loop_state {
    LOOP_OPEN,
    LOOP_NOTICED, /* not listening; clients were told to open no more streams */
    LOOP_CLOSING, /* the last stream of each connection is known; they end one by one */
    LOOP_ENDED,
};

enum encoding { ENCODING_IDENTITY, ENCODING_GZIP, ENCODING_DEFLATE, ENCODING_OTHER };

/* gRPC's numbers of the statuses that the loop itself gives. */
enum status {
    STATUS_OK = 0,
    STATUS_INVALID_ARGUMENT = 3,
    STATUS_DEADLINE_EXCEEDED = 4,
    STATUS_RESOURCE_EXHAUSTED = 8,
    STATUS_UNIMPLEMENTED = 12,
    STATUS_INTERNAL = 13,
};

enum {
    PATH_LIMIT = 128,
    PREFIX_BYTES = 5,
    READ_BYTES = 1 << 16,
    FRAME_BYTES = (1 << 14) + 9,
    TRAILERS_LIMIT = 8,
    KEPT_BYTES = 1 << 14,
};

struct trailer {
    char *name, *value;
    size_t name_size, value_size;
};

struct connection;
struct loop;

struct call {
    struct call *previous, *next; /* in the queue, the pool, or among those handed back */
    struct call *older, *newer;   /* of the same connection */
    struct connection *connection; /* NULL once the stream has ended */
    int32_t stream;
    enum call_state state;
    enum encoding encoding;
    int is_known; /* whether the path is short enough to be a method's */
    int is_infer;
    int is_cut;      /* refused while its request was still arriving */
    int http_status; /* 0, or what is answered to what is no gRPC */
    size_t header_bytes;
    size_t expected; /* bytes of prefix and message; 0 until they are known */
    size_t held;     /* what it counts for in its connection */
    uint64_t deadline; /* nanoseconds of the monotonic clock; 0: none */
    size_t path_size;
    char path[PATH_LIMIT];
    struct buffer authorization; /* the header, as it came */
    int position; /* where chance has put it on its route, if it has */
    struct buffer body;
    struct buffer response; /* prefix and message */
    size_t sent;
    /* How it ends if not with a response: gRPC's status among them. */
    struct trailer trailers[TRAILERS_LIMIT];
    int trailer_count;
};

struct connection {
    struct connection *previous, *next;
    struct loop *loop;
    int socket;
    int is_broken;   /* to be closed at the next turn */
    int waits_to_write;
    h2_session *session;
    struct call *calls;
    int call_count;
    size_t held;     /* bytes of requests and answers under way */
    uint64_t control; /* frames of control since the last tick */
    uint64_t header_since, header_bytes; /* an unfinished header: since when, and how long */
    uint64_t heard, wrote; /* when last a request was complete or data came; when bytes went out */
    uint64_t completed;
    struct buffer pending; /* what the socket did not take */
    size_t pending_sent;
};

struct limits {
    size_t message_bytes;
    size_t header_bytes;
    size_t connection_bytes;
    size_t total_bytes;
    uint32_t concurrent_streams;
    int connections;
    int waiting_calls;
    double header_seconds;
    double idle_seconds;
};

struct counts {
    uint64_t answered, declined, refused, connections, dropped_connections;
};

struct loop {
    enum loop_state state;
    int epoll, listener, wake;
    int is_listening;
    struct limits limits;
    uint64_t now, ticked, state_since;
    uint64_t grace;
    struct connection *connections;
    int connection_count;
    size_t held;
    h2_callbacks *callbacks;
    h2_option *option;
    answer_function answer;
    void *context;
    struct call *pool;
    int pooled;
    struct counts counts;
    uint8_t read_buffer[READ_BYTES];
    uint8_t write_buffer[READ_BYTES + FRAME_BYTES];

    /* Shared with Python's threads. */
    pthread_mutex_t lock;
    pthread_cond_t arrived;
    struct call *first, *last; /* waiting */
    struct call *done;
    int waiting, running;
    int is_stopped;
    int drain_asked;
    uint64_t drain_grace;
};

/* transport.c */
struct loop *loop_new(int listener, const struct limits *limits, answer_function answer,
                      void *context);
void loop_free(struct loop *loop);
/* Serve until `loop_drain` was asked for and everything has ended. */
void loop_run(struct loop *loop);
/* From any thread: end in two steps, cutting what is left after the grace. */
void loop_drain(struct loop *loop, uint64_t grace_nanoseconds);
uint64_t monotonic_nanoseconds(void);
void connection_flush(struct connection *connection);

/* calls.c */
struct call *call_new(struct connection *connection, int32_t stream);
void call_end(struct call *call); /* its stream has ended */
void call_free(struct loop *loop, struct call *call);
void call_hold(struct call *call, size_t bytes);
int call_add_trailer(struct call *call, const char *name, size_t name_size, const char *value,
                     size_t value_size);
void queue_put(struct loop *loop, struct call *call);
/* For Python's threads: wait for a call, NULL once the loop has stopped. */
struct call *queue_take(struct loop *loop);
void queue_give_back(struct loop *loop, struct call *call);
void queue_stop(struct loop *loop);
void wake_loop(struct loop *loop);

/* streams.c */
int streams_prepare(struct loop *loop);
h2_session *streams_open(struct connection *connection);
void call_submit(struct call *call); /* what Python has answered */
void call_refuse(struct call *call, enum status status, const char *message);

#endif
