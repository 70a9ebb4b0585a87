/* The part of libnghttp2's interface that is used, resolved at run time: no headers to build.
 *
 * The interface is stable and append-only. Only types whose layout is public are declared. */
#ifndef GNOMON_H2_LIBRARY_H
#define GNOMON_H2_LIBRARY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct h2_session h2_session;
typedef struct h2_callbacks h2_callbacks;
typedef struct h2_option h2_option;

typedef struct {
    uint8_t *name;
    uint8_t *value;
    size_t name_size;
    size_t value_size;
    uint8_t flags;
} h2_header;

/* A header whose texts are literals. */
#define H2_HEADER(name, value)                                                                     \
    {(uint8_t *)(name), (uint8_t *)(value), sizeof(name) - 1, sizeof(value) - 1, H2_NO_COPY}

typedef struct {
    size_t length;
    int32_t stream_id;
    uint8_t type;
    uint8_t flags;
    uint8_t reserved;
} h2_frame_head;

/* Frames of all types begin with their head; behind it, only what DATA frames have is read. */
typedef struct {
    h2_frame_head head;
    size_t data_padding; /* of the head's length, the length of the padding among it */
} h2_frame;

typedef struct {
    int32_t id;
    uint32_t value;
} h2_setting;

typedef union {
    int descriptor;
    void *pointer;
} h2_source;

typedef ssize_t (*h2_read)(h2_session *session, int32_t stream, uint8_t *out, size_t room,
                           uint32_t *flags, h2_source *source, void *user);

typedef struct {
    h2_source source;
    h2_read read;
} h2_provider;

typedef int (*h2_on_frame)(h2_session *, const h2_frame *, void *user);
typedef int (*h2_on_header)(h2_session *, const h2_frame *, const uint8_t *name, size_t name_size,
                            const uint8_t *value, size_t value_size, uint8_t flags, void *user);
typedef int (*h2_on_data)(h2_session *, uint8_t flags, int32_t stream, const uint8_t *data,
                          size_t size, void *user);
typedef int (*h2_on_close)(h2_session *, int32_t stream, uint32_t code, void *user);

enum {
    H2_DATA = 0,
    H2_HEADERS = 1,
    H2_PRIORITY = 2,
    H2_RST_STREAM = 3,
    H2_PING = 6,
    H2_WINDOW_UPDATE = 8,

    H2_END_STREAM = 1,
    H2_ACK = 1,

    H2_NO_COPY = 2 | 4,

    H2_DATA_EOF = 1,
    H2_DATA_NO_END_STREAM = 2,

    H2_MAX_CONCURRENT_STREAMS = 3,
    H2_INITIAL_WINDOW_SIZE = 4,
    H2_MAX_HEADER_LIST_SIZE = 6,
    H2_NO_RFC7540_PRIORITIES = 9,

    H2_NO_ERROR = 0,
    H2_PROTOCOL_ERROR = 1,
    H2_STREAM_CLOSED = 5,
    H2_ENHANCE_YOUR_CALM = 11,

    H2_DEFERRED = -508,
    H2_STREAM_FAILED = -521,
    H2_CONNECTION_FAILED = -902,
};

/* The functions, by the name behind `nghttp2_`. */
#define H2_FUNCTIONS(f)                                                                            \
    f(int, session_callbacks_new, (h2_callbacks **)) f(                                            \
        void, session_callbacks_set_on_begin_headers_callback,                                     \
        (h2_callbacks *, h2_on_frame)) f(void, session_callbacks_set_on_header_callback,           \
                                         (h2_callbacks *, h2_on_header))                           \
        f(void, session_callbacks_set_on_frame_recv_callback, (h2_callbacks *, h2_on_frame)) f(    \
            void, session_callbacks_set_on_frame_send_callback,                                    \
            (h2_callbacks *, h2_on_frame)) f(void,                                                 \
                                             session_callbacks_set_on_data_chunk_recv_callback,    \
                                             (h2_callbacks *, h2_on_data))                         \
            f(void, session_callbacks_set_on_stream_close_callback,                                \
              (h2_callbacks *, h2_on_close)) f(void, session_callbacks_del, (h2_callbacks *))      \
                f(void, option_del, (h2_option *)) f(int, option_new, (h2_option **)) f(           \
                    void, option_set_no_closed_streams,                                            \
                    (h2_option *, int)) f(void, option_set_no_auto_window_update,                  \
                                          (h2_option *, int)) f(void, option_set_max_outbound_ack, \
                                                                (h2_option *, size_t))             \
                    f(int, session_server_new2,                                                    \
                      (h2_session **, const h2_callbacks *, void *,                                \
                       const h2_option *)) f(void, session_del, (h2_session *))                    \
                        f(ssize_t, session_mem_recv, (h2_session *, const uint8_t *, size_t)) f(   \
                            ssize_t, session_mem_send, (h2_session *, const uint8_t **))           \
                            f(int, session_consume, (h2_session *, int32_t, size_t))               \
                                f(int, session_consume_connection, (h2_session *, size_t)) f(      \
                                    int, session_consume_stream, (h2_session *, int32_t, size_t))  \
                                    f(int, session_resume_data, (h2_session *, int32_t)) f(        \
                                        int, session_want_read,                                    \
                                        (h2_session *)) f(int, session_want_write, (h2_session *)) \
                                        f(int, session_set_stream_user_data,                       \
                                          (h2_session *,                                           \
                                           int32_t, void *)) f(void *,                             \
                                                               session_get_stream_user_data,       \
                                                               (h2_session *, int32_t))            \
                                            f(int, session_set_local_window_size,                  \
                                              (h2_session *, uint8_t, int32_t, int32_t))           \
                                                f(int32_t, session_get_last_proc_stream_id,        \
                                                  (h2_session *)) f(int,                           \
                                                                    session_terminate_session,     \
                                                                    (h2_session *, uint32_t))      \
                                                    f(int, submit_settings,                        \
                                                      (h2_session *, uint8_t, const h2_setting *,  \
                                                       size_t))                                    \
                                                        f(int, submit_response,                    \
                                                          (h2_session *, int32_t,                  \
                                                           const h2_header *, size_t,              \
                                                           const h2_provider *))                   \
                                                            f(int, submit_trailer,                 \
                                                              (h2_session *, int32_t,              \
                                                               const h2_header *, size_t))         \
                                                                f(int, submit_rst_stream,          \
                                                                  (h2_session *, uint8_t, int32_t, \
                                                                   uint32_t))                      \
                                                                    f(int, submit_ping,            \
                                                                      (h2_session *, uint8_t,      \
                                                                       const uint8_t *))           \
                                                                        f(int,                     \
                                                                          submit_shutdown_notice,  \
                                                                          (h2_session *))          \
                                                                            f(int, submit_goaway,  \
                                                                              (h2_session *,       \
                                                                               uint8_t, int32_t,   \
                                                                               uint32_t,           \
                                                                               const uint8_t *,    \
                                                                               size_t))

#define H2_DECLARE(result, name, arguments) result(*name) arguments;
struct h2_functions {
    H2_FUNCTIONS(H2_DECLARE)
};
extern struct h2_functions gnomon_h2;

/* Resolve all functions; NULL, or what is missing. A second call does nothing. */
const char *gnomon_h2_load(void);

#endif
