/* gRPC over HTTP/2 on epoll loops: states and structures.
 *
 * A loop's thread never holds the interpreter's lock. A complete request is shown to `answer`,
 * which answers it at once or declines; a declined request waits in a queue for Python's threads,
 * which hand the answer back. Loops share one queue. Only what is marked "under the queue's lock"
 * is shared between threads; all else belongs to the loop's thread, and to whoever made the loop
 * before it runs and after it has ended.
 *
 * One loop of a ring listens, and hands each connection to the loop that has the fewest: clients
 * of gRPC keep few connections for long, and the kernel's choice by port numbers spreads those
 * badly.
 *
 * Files, bottom first. Each calls only those above it in this list:
 *   buffer, clock, debug, exchange, h2_open, h2_library, tls_library: no state
 *   tls: a TLS session
 *   state: the structures below
 *   queue_lock, poller, handover: the lock, what epoll watches, what other threads give to a loop
 *   call, bidi_state: one call and its pool; the states of a call of many messages
 *   call_queue: calls that wait for Python's threads
 *   frame_scan: what nghttp2 lets pass, though HTTP/2 forbids it
 *   framing, request_headers, response: gRPC's messages, headers and trailers
 *   servicer: what Python's threads do to a call of many messages
 *   bidi_inbox, unary, bidi: calls of one message each way, and of many, on the loop
 *   http2: nghttp2's callbacks
 *   connection: a socket, read and written
 *   accept, timeouts: new connections; limits of time
 *   event_loop: one turn after the other
 */
#ifndef GNOMON_STATE_H
#define GNOMON_STATE_H

#include <pthread.h>

#include "debug.h"
#include "exchange.h"
#include "h2_library.h"
#include "tls.h"

static const uint64_t SECOND = 1000000000;
static const uint64_t LONG_TICK = 250000000;
/* Between telling clients to open no more streams, and naming the last one that is served. */
static const uint64_t NOTICE = 100000000;

enum call_state {
    CALL_FREE,
    CALL_RECEIVING, /* its request, or a streaming call's next message, is arriving */
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
    PATH_LIMIT = 64,
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

/* A call of many messages: four states that change apart from each other. Which may follow which
 * stands at the top of bidi_state.c.
 *
 * Of what the client sends; the loop's alone. */
enum bidi_request {
    REQUEST_OPEN,
    REQUEST_ENDED,    /* the client sends no more */
    REQUEST_END_TOLD, /* and the call went to Python's queue to say so */
};
/* Of what nghttp2 sends; the loop's alone. */
enum bidi_response {
    RESPONSE_UNSENT,
    RESPONSE_SENDING, /* headers, or trailers alone, are submitted */
    RESPONSE_RESTING, /* nghttp2 waits to be told that there is more */
};
/* Of the object of Python's that stands for the call; under the queue's lock. */
enum bidi_turn {
    TURN_UNSEEN,   /* there is none yet */
    TURN_TAKEN,    /* Python is at the message in `body`, or at the end */
    TURN_RETURNED, /* Python is done with it; the loop does not know yet */
    TURN_IDLE,     /* the loop knows; the next message may come */
    TURN_LEFT,     /* the object has let go of the call; the loop does not know yet */
    TURN_GONE,     /* the loop knows */
};
/* Of who decides how the call ends; under the queue's lock. */
enum bidi_ending {
    ENDING_OPEN,
    ENDING_CLAIMED, /* someone is about to say how, or the stream has ended: no more is taken */
    ENDING_READY,   /* its trailers are whole */
};

/* What a call of many messages has beside its headers. `body` is the message that Python is shown,
 * `response` what is being sent. */
struct streaming {
    struct buffer inbox; /* what came behind that message, read up to `taken` */
    size_t taken;
    size_t unopened; /* bytes for which the client's window was not opened again */
    enum bidi_request request;
    enum bidi_response response;

    /* Under the queue's lock. */
    struct buffer outbox;
    size_t unsent; /* not yet with nghttp2; coarse */
    enum bidi_turn turn;
    enum bidi_ending ending;
    int has_news; /* it is among what was handed to the loop */
    struct call *next_news;
};

struct call {
    struct call *previous, *next; /* in the queue, the pool, or among those handed back */
    struct loop *loop;
    struct call *older, *newer;    /* of the same connection */
    struct connection *connection; /* NULL once the stream has ended */
    int32_t stream;
    enum call_state state;
    enum encoding encoding;
    int is_known; /* whether the path is a method's, as far as the loop knows */
    int is_infer;
    int is_streaming;            /* whether the path is a streaming method's */
    struct streaming *streaming; /* from its headers' end on */
    int has_authorization;       /* the header has come */
    int is_cut;                  /* refused while its request was still arriving */
    int http_status;             /* 0, or what is answered to what is no gRPC */
    size_t header_bytes;
    size_t expected;   /* bytes of prefix and message; 0 until they are known */
    size_t held;       /* what it counts for in its connection */
    uint64_t deadline; /* nanoseconds of the monotonic clock; 0: none */
    uint64_t queued;   /* when it was put into the queue; by the same clock */
    size_t path_size;
    char path[PATH_LIMIT];
    struct buffer authorization; /* the header, as it came */
    struct buffer certificate;   /* the connection's peer, for Python */
    int position;                /* its traffic bucket, or POSITION_NONE */
    struct buffer body;
    struct buffer response; /* prefix and message */
    size_t sent;
    /* How it ends if not with a response: gRPC's status among them. */
    struct trailer *trailers; /* room for TRAILERS_LIMIT from the first on: few calls have any */
    int trailer_count;
};

enum { FRAME_HEAD_BYTES = 9, PRIORITY_BYTES = 5, ENDED_STREAMS = 64 };

/* Where the reading of a connection is among its frames, and what it saw. */
struct frame_scan {
    uint8_t head[FRAME_HEAD_BYTES]; /* of a frame that came in part */
    size_t head_size;
    size_t left;                  /* bytes of the present frame's payload that are to come */
    int32_t ended[ENDED_STREAMS]; /* streams that the client ended, by their number */
    int32_t late;                 /* such a stream, on which more came; 0: none */
    int32_t stream;               /* of the present frame */
    size_t parent_left;           /* bytes of a PRIORITY frame that name a stream, to come */
    uint32_t parent;              /* the stream that it depends on, as far as it has come */
    int32_t circular;             /* a stream that was to depend on itself; 0: none */
    uint32_t fault;               /* HTTP/2's code of what ends the connection; 0: nothing */
};

struct connection {
    struct connection *previous, *next;
    struct loop *loop;
    int socket;
    int is_broken; /* to be closed at the next turn */
    int waits_to_write;
    tls_session *tls;   /* NULL in clear text */
    int is_shaking;     /* TLS is not agreed on yet */
    int is_unread;      /* TLS has read more than was asked of it */
    struct buffer peer; /* the name in the client's verified certificate */
    h2_session *session;
    struct call *calls;
    int call_count;
    size_t held;      /* bytes of requests and answers under way */
    uint64_t control; /* frames of control since the last tick */
    struct frame_scan scan;
    uint64_t header_since, header_bytes; /* an unfinished header: since when, and how long */
    uint64_t heard, wrote; /* when last a request was complete or data came; when bytes went out */
    uint64_t completed;
    uint64_t received, pinged; /* when any byte came; since when a ping waits for one */
    uint64_t ends;             /* when the next step of its end by age is due; 0: never */
    int is_old;                /* the first step is done */
    uint64_t pings;            /* of the client's, since it asked for anything */
    struct buffer pending;     /* what the socket did not take */
    size_t pending_sent;
};

struct limits {
    size_t message_bytes;
    size_t header_bytes;
    size_t connection_bytes;
    size_t total_bytes;
    uint32_t concurrent_streams;
    int connections;
    double header_seconds;
    double idle_seconds;
    double keepalive_seconds;      /* 0: no pings */
    double connection_age_seconds; /* 0: any age */
};

struct counts {
    uint64_t answered, declined, refused, connections, dropped_connections, failed_handshakes;
};

/* A connection that another loop has accepted. */
struct arrival {
    struct arrival *next;
    int socket;
};

/* What other threads have handed to a loop. */
struct handed {
    struct arrival *arrivals; /* connections; counted in the loop's load already */
    struct call *done;        /* calls that Python has answered */
    struct call *news; /* streaming calls to look at; `has_news` keeps each from being freed */
    int drain_asked;   /* from then on no connection is handed to it */
    uint64_t grace;    /* of the drain, in nanoseconds */
};

/* Calls that wait for Python, of all loops. */
struct queue {
    pthread_mutex_t lock;
    pthread_cond_t arrived;
    struct call *first, *last;
    int waiting, running, limit;
    int loops; /* that still run, or are to */
#ifdef GNOMON_DEBUG
    pthread_t holder; /* of the lock */
    int is_held;
#endif
};

struct loop {
    enum loop_state state;
#ifdef GNOMON_DEBUG
    pthread_t thread;
    int is_running;
#endif
    int epoll, listener, wake;
    int is_listening;
    void *face;            /* Python's object for it */
    const char *unary;     /* the paths of the other methods, alike; NULL: any may be one */
    const char *streaming; /* the paths of streaming methods, each with its 0; then an empty one */
    struct limits limits;
    uint64_t now, ticked, state_since;
    uint64_t random;
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
    const char *tls_fault; /* why a handshake failed last; static text */
    int has_unread;        /* of connections that are to be read without an event */
    uint8_t read_buffer[READ_BYTES];
    uint8_t write_buffer[READ_BYTES + FRAME_BYTES];

    struct loop *sibling; /* the next of its ring; itself if it is alone */
    struct queue *queue;
    /* Under the queue's lock. */
    tls_context *tls; /* for new connections; NULL: clear text */
    struct handed handed;
    int load; /* connections, and those that are to arrive */
};

#endif
