/* What a load generator's loop keeps. All of it belongs to the loop's thread. */
#ifndef GNOMON_LOAD_STATE_H
#define GNOMON_LOAD_STATE_H

#include "../../server/serving/native/buffer.h"
#include "h2_table.h"
#include "histogram_cells.h"

#include <sys/socket.h>

enum {
    LOAD_HEADERS = 12,
    /* Statuses of gRPC (0 to 16) or of HTTP; others count as the last. */
    LOAD_STATUSES = 1000,
    /* Answers other than the expected ones that are kept. */
    LOAD_KEPT = 64,
    LOAD_BODY_LIMIT = 64 << 20,
};

enum load_protocol {
    LOAD_GRPC = 0,
    LOAD_HTTP1 = 1,
    LOAD_HTTP2 = 2, /* without gRPC */
};

enum load_outcome {
    LOAD_GOOD = 0,
    LOAD_REFUSED = 1,   /* the status says so */
    LOAD_DIFFERENT = 2, /* good, but not the bytes that were expected */
    LOAD_LOST = 3,      /* the connection broke, or the stream was reset */
    LOAD_LATE = 4,      /* no answer within the time limit */
    LOAD_UNSENT = 5,    /* due, and no connection took it before the end */
    LOAD_OUTCOMES = 6,
};

struct load_row {
    struct slice request;  /* a gRPC message with its prefix, a body, or all of an HTTP/1 request */
    struct slice expected; /* the answer's body; no data: not checked */
};

struct load_settings {
    int protocol; /* a load_protocol */
    struct sockaddr_storage address;
    socklen_t address_size;
    size_t connections;
    size_t streams;       /* of each connection, at most; 1 for HTTP/1 */
    const uint64_t *dues; /* open loop: ns from the start, ascending; NULL: closed loop */
    size_t due_count;
    uint64_t warm_up;  /* ns; requests that are due in it are not recorded */
    uint64_t measured; /* ns */
    uint64_t timeout;  /* ns from when a request was due */
    uint64_t patience; /* ns without any connection, after which the run ends */
    uint64_t spin;     /* ns before a request is due from which the loop does not sleep */
    uint64_t slot;     /* ns; latencies are also counted by slots of time */
    size_t slot_count;
    size_t log_room; /* requests that are recorded one by one */
    h2_header headers[LOAD_HEADERS];
    size_t header_count;
};

struct load_record {
    uint64_t due, sent, done; /* ns from the start */
    uint32_t row;
    int16_t status; /* -1 without one */
    uint16_t outcome;
};

struct load_kept {
    uint32_t row;
    struct buffer body;
};

struct load_slot {
    uint64_t outcomes[LOAD_OUTCOMES];
    uint32_t latency[HISTOGRAM_CELLS];
};

/* A request on its way. */
struct load_flight {
    struct load_link *link;
    struct load_flight *next, *previous; /* of its link, the oldest first */
    struct load_flight *unflushed;       /* the next that was submitted in this turn */
    uint64_t due, sent;                  /* ns of the clock; `sent` is 0 until it is */
    uint32_t row;
    int32_t stream;
    int status; /* HTTP's until gRPC's comes; -1 */
    int is_grpc_status;
    int has_waited; /* when it was due, no stream was free */
    size_t written; /* of the request */
    struct buffer body;
};

enum load_link_state {
    LINK_DOWN,
    LINK_CONNECTING,
    LINK_UP,
    LINK_LEAVING, /* takes no new requests: the server said goodbye */
};

struct load_link {
    struct load *load;
    enum load_link_state state;
    int descriptor;
    int is_writing; /* epoll watches for room to write */
    int is_dirty;   /* among those to be flushed */
    struct load_link *next_dirty;
    uint64_t retry_at;
    h2_session *session;
    size_t active;
    struct load_flight *oldest, *newest;
    struct buffer out;
    size_t sent; /* of `out` */
    /* HTTP/1: what has come of an answer. */
    struct buffer in;
    size_t owed; /* closed loop: requests to submit once what came has been read */
};

struct load {
    struct load_settings settings;
    struct load_row *rows;
    size_t row_count, row_next;
    struct load_link *links;
    size_t link_next, links_up;
    struct load_link *dirty;
    struct load_flight *pool, *unflushed;
    h2_callbacks *callbacks;
    h2_option *option;
    int epoll;
    volatile int is_stopped;
    uint64_t now, since; /* `since`: the start, 0 before it */
    uint64_t down_since; /* 0: a connection is up */
    uint64_t checked;
    uint64_t blocked; /* ns of the clock: until then, no stream was free */
    size_t due_next, flying;
    int ended_early;
    int error; /* errno of the last connection that could not be made */
    uint64_t reconnects;
    uint64_t waited;   /* requests that found no free stream when they were due */
    uint64_t finished; /* ns from the start until the last answer */
    uint64_t cpu;      /* ns of this thread since the warm-up ended */
    uint64_t outcomes[LOAD_OUTCOMES];
    uint64_t statuses[LOAD_STATUSES];
    uint64_t
        latency[HISTOGRAM_CELLS]; /* from due to answered; late and unsent ones at the time limit */
    uint64_t service[HISTOGRAM_CELLS];  /* from sent to answered */
    uint64_t lateness[HISTOGRAM_CELLS]; /* from due to sent, if a stream was free */
    struct load_slot *slots;
    struct load_record *log;
    size_t log_size;
    struct load_kept kept[LOAD_KEPT];
    size_t kept_size;
};

#endif
